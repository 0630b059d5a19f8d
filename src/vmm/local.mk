# kite-vmm: plain C with small libraries; compiled without GLib's and libxml2's flags on purpose.
