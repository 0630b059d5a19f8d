# SPDX-License-Identifier: LGPL-2.1-or-later
# Balloon, virtio-mem and virtio-scsi in the nested lab.
exec bash "$abs_top_srcdir/tests/lab/check.sh" job-memory
