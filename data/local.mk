# Configuration, units, polkit policy.
EXTRA_DIST += data/virtkited.conf
