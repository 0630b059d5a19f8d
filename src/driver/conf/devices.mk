# The device elements: one def_<element>.{c,h} each.
libkiteconf_a_SOURCES +=
