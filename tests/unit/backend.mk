# Unit tests of the backend layer.
BACKEND_LIBS = libkitebackend.a libkitehost.a $(CONF_LIBS)

# Starts one definition without the daemon; not a test of its own.
check_PROGRAMS += tests/lib/run_vm
tests_lib_run_vm_SOURCES = tests/lib/run_vm.c
tests_lib_run_vm_CFLAGS = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS)
tests_lib_run_vm_LDADD = $(BACKEND_LIBS)
