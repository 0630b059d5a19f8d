# SPDX-License-Identifier: LGPL-2.1-or-later
# Networks in the nested lab: taps with one and more queues, vhost-net, a virtio console alone, 8 vCPUs.
exec bash "$abs_top_srcdir/tests/lab/check.sh" job-net
