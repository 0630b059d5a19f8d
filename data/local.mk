# Configuration, units, users, folders, polkit policy. Templates are filled in by sed, so that ${prefix} is expanded.
DATA_TEMPLATES = \
	%D%/virtkited.service.in %D%/virtkited.socket.in %D%/virtkited-ro.socket.in \
	%D%/virtkited-user.service.in %D%/virtkited-user.socket.in \
	%D%/kite.sysusers.in %D%/kite.tmpfiles.in
DATA_MADE = $(DATA_TEMPLATES:.in=)
EXTRA_DIST += $(DATA_TEMPLATES) %D%/virtkited.conf %D%/kite.polkit.rules %D%/org.libvirt.unix.policy
CLEANFILES += $(DATA_MADE)
noinst_DATA = $(DATA_MADE)

PATHS_FILL = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' -e 's|@kite_rundir[@]|$(kite_rundir)|g'
%D%/virtkited.service: %D%/virtkited.service.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited.service.in > $@
%D%/virtkited.socket: %D%/virtkited.socket.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited.socket.in > $@
%D%/virtkited-ro.socket: %D%/virtkited-ro.socket.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited-ro.socket.in > $@
%D%/virtkited-user.service: %D%/virtkited-user.service.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited-user.service.in > $@
%D%/virtkited-user.socket: %D%/virtkited-user.socket.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/virtkited-user.socket.in > $@
%D%/kite.sysusers: %D%/kite.sysusers.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/kite.sysusers.in > $@
%D%/kite.tmpfiles: %D%/kite.tmpfiles.in Makefile
	$(PATHS_FILL) $(srcdir)/%D%/kite.tmpfiles.in > $@

# The configuration of an administrator is never overwritten. The policy is libvirt's under libvirt's name: it is left
# alone where libvirt has installed its own.
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/kite' '$(DESTDIR)$(systemdunitdir)' '$(DESTDIR)$(systemduserunitdir)' \
	  '$(DESTDIR)$(prefix)/lib/sysusers.d' '$(DESTDIR)$(prefix)/lib/tmpfiles.d' \
	  '$(DESTDIR)$(datadir)/polkit-1/rules.d' '$(DESTDIR)$(datadir)/polkit-1/actions'
	test -e '$(DESTDIR)$(sysconfdir)/kite/virtkited.conf' || \
	  $(INSTALL_DATA) $(srcdir)/%D%/virtkited.conf '$(DESTDIR)$(sysconfdir)/kite/virtkited.conf'
	for f in virtkited.service virtkited.socket virtkited-ro.socket; do \
	  $(INSTALL_DATA) %D%/$$f '$(DESTDIR)$(systemdunitdir)/'$$f || exit 1; done
	for e in service socket; do \
	  $(INSTALL_DATA) %D%/virtkited-user.$$e '$(DESTDIR)$(systemduserunitdir)/virtkited.'$$e || exit 1; done
	$(INSTALL_DATA) %D%/kite.sysusers '$(DESTDIR)$(prefix)/lib/sysusers.d/kite.conf'
	$(INSTALL_DATA) %D%/kite.tmpfiles '$(DESTDIR)$(prefix)/lib/tmpfiles.d/kite.conf'
	$(INSTALL_DATA) $(srcdir)/%D%/kite.polkit.rules '$(DESTDIR)$(datadir)/polkit-1/rules.d/50-kite.rules'
	test -e '$(DESTDIR)$(datadir)/polkit-1/actions/org.libvirt.unix.policy' || \
	  $(INSTALL_DATA) $(srcdir)/%D%/org.libvirt.unix.policy '$(DESTDIR)$(datadir)/polkit-1/actions/'

uninstall-local:
	rm -f '$(DESTDIR)$(sysconfdir)/kite/virtkited.conf' '$(DESTDIR)$(systemdunitdir)/virtkited.service' \
	  '$(DESTDIR)$(systemdunitdir)/virtkited.socket' '$(DESTDIR)$(systemdunitdir)/virtkited-ro.socket' \
	  '$(DESTDIR)$(systemduserunitdir)/virtkited.service' '$(DESTDIR)$(systemduserunitdir)/virtkited.socket' \
	  '$(DESTDIR)$(prefix)/lib/sysusers.d/kite.conf' '$(DESTDIR)$(prefix)/lib/tmpfiles.d/kite.conf' \
	  '$(DESTDIR)$(datadir)/polkit-1/rules.d/50-kite.rules'
	if cmp -s $(srcdir)/%D%/org.libvirt.unix.policy '$(DESTDIR)$(datadir)/polkit-1/actions/org.libvirt.unix.policy'; \
	  then rm -f '$(DESTDIR)$(datadir)/polkit-1/actions/org.libvirt.unix.policy'; fi
