# Unit tests of the conf layer.
conf_test_cflags = $(DAEMON_CFLAGS) $(LIBXML2_CFLAGS) -I$(top_srcdir)/tests/lib

check_PROGRAMS += tests/unit/test_xml tests/unit/test_conf_domain tests/unit/test_conf_rules \
	tests/unit/conf_tool tests/fuzz/replay_fuzz_domain_xml
tests_unit_test_xml_SOURCES = tests/unit/test_xml.c
tests_unit_test_xml_CFLAGS = $(conf_test_cflags)
tests_unit_test_xml_LDADD = $(CONF_LIBS)
TESTS += tests/unit/test_xml

tests_unit_test_conf_domain_SOURCES = tests/unit/test_conf_domain.c tests/lib/golden.c tests/lib/golden.h
tests_unit_test_conf_domain_CFLAGS = $(conf_test_cflags)
tests_unit_test_conf_domain_LDADD = $(CONF_LIBS)
TESTS += tests/unit/test_conf_domain

tests_unit_test_conf_rules_SOURCES = tests/unit/test_conf_rules.c
tests_unit_test_conf_rules_CFLAGS = $(conf_test_cflags)
tests_unit_test_conf_rules_LDADD = $(CONF_LIBS)
TESTS += tests/unit/test_conf_rules

tests_unit_conf_tool_SOURCES = tests/unit/conf_tool.c
tests_unit_conf_tool_CFLAGS = $(conf_test_cflags)
tests_unit_conf_tool_LDADD = $(CONF_LIBS)

tests_fuzz_replay_fuzz_domain_xml_SOURCES = tests/fuzz/fuzz_domain_xml.c tests/fuzz/replay_main.c
tests_fuzz_replay_fuzz_domain_xml_CFLAGS = $(conf_test_cflags)
tests_fuzz_replay_fuzz_domain_xml_LDADD = $(CONF_LIBS)
EXTRA_DIST += tests/golden/domain tests/fuzz/corpus/domain_xml
TESTS += tests/fuzz/replay_fuzz_domain_xml
if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_domain_xml
tests_fuzz_fuzz_domain_xml_SOURCES = tests/fuzz/fuzz_domain_xml.c
tests_fuzz_fuzz_domain_xml_CFLAGS = $(conf_test_cflags)
tests_fuzz_fuzz_domain_xml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_domain_xml_LDADD = $(CONF_LIBS)
endif
