# Manual pages, mdoc by hand. tests/unit/test_man.py holds them against what --help prints.
dist_man_MANS = %D%/kite-vmm.1 %D%/kite-image.1
man_MANS = %D%/virtkited.8
EXTRA_DIST += %D%/virtkited.8.in
CLEANFILES += %D%/virtkited.8
%D%/virtkited.8: %D%/virtkited.8.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited.8.in > $@
