# SPDX-License-Identifier: LGPL-2.1-or-later
# The machine in the nested lab: boot, pause, power button, reboot, several vCPUs.
exec bash "$abs_top_srcdir/tests/lab/check.sh" job-system
