# SPDX-License-Identifier: LGPL-2.1-or-later
# virtkited, virsh, kite-vmm and Debian guests with systemd in the nested lab, on this machine's own programs.
[ -s "$abs_top_builddir/test-guest/debian.raw" ] || { echo "1..0 # SKIP no Debian root file system (tests/lib/mkdebian.sh)"; exit 0; }
LAB_TIMEOUT=1500 exec bash "$abs_top_srcdir/tests/lab/check.sh" stack.py -r
