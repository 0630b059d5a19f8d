# SPDX-License-Identifier: LGPL-2.1-or-later
# Balloon, virtio-mem, virtio-scsi and vsock in the nested lab.
exec bash "$abs_top_srcdir/tests/lab/check.sh" job-memory -f "$abs_top_builddir/tests/lab/vsock_probe"
