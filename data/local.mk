# Configuration, units, polkit policy.
