/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libkitexml and bitmaps. */
#include <string.h>

#include "common/bitmap.h"
#include "common/error.h"
#include "common/xml.h"

static void test_writer(void)
{
    XmlWriter *w = xml_writer_new(0);
    g_autofree char *text = NULL;

    xml_open(w, "a");
    xml_attr(w, "x", "1 < 2 & 'q' \"\n\x01");
    xml_attr(w, "none", NULL);
    xml_element_text(w, "b", "t>\x02\n");
    xml_element_empty(w, "c");
    xml_raw_indented(w, "<d>\n  <e/>\n</d>\n");
    xml_element_u64(w, "f", G_MAXUINT64);
    xml_close(w);
    text = xml_writer_finish(w);
    g_assert_cmpstr(
        text, ==,
        "<a x='1 &lt; 2 &amp; &apos;q&apos; &quot;&#10;'>\n  <b>t&gt;\n</b>\n  <c/>\n  <d>\n    <e/>\n  "
        "</d>\n  <f>18446744073709551615</f>\n</a>\n");
}

static void test_reader(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = xml_parse("<a n='5' h='0x10' y='yes' z='0' neg='-1'><m unit='MiB'>2</m><m/>t</a>",
                                      "(test)", "a", &error);
    xmlNodePtr a = xmlDocGetRootElement(doc);
    guint n = 0;
    int i = 0;
    guint64 v = 0;
    Tristate t = TRISTATE_ABSENT;

    g_assert_no_error(error);
    g_assert_true(xml_attr_get_uint(a, "n", XML_REQUIRED, &n, &error));
    g_assert_cmpuint(n, ==, 5);
    g_assert_true(xml_attr_get_hex(a, "h", 0, &v, &error));
    g_assert_cmpuint(v, ==, 16);
    g_assert_true(xml_attr_get_yes_no(a, "y", 0, &t, &error));
    g_assert_cmpint(t, ==, TRISTATE_YES);
    g_assert_true(xml_attr_get_int(a, "neg", 0, &i, &error));
    g_assert_cmpint(i, ==, -1);
    g_assert_false(xml_attr_get_uint(a, "neg", 0, &n, &error));
    g_assert_true(error_is(error, VIR_ERR_XML_ERROR));
    g_clear_error(&error);
    g_assert_false(xml_attr_get_uint(a, "z", XML_NONZERO, &n, &error));
    g_clear_error(&error);
    g_assert_false(xml_attr_get_uint(a, "absent", XML_REQUIRED, &n, &error));
    g_clear_error(&error);
    g_assert_true(xml_child_get_memory_kib(a, "m", XML_REQUIRED, &v, &error));
    g_assert_cmpuint(v, ==, 2048);
    g_assert_cmpuint(xml_count(a, "m"), ==, 2);
}

static void test_bad_documents(void)
{
    static const char *const bad[] = {"",         "<a>",        "<a></b>",
                                      "<a b=c/>", "text",       "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>",
                                      "<b/>",     "<a>\xff</a>"};
    g_autoptr(GString) deep = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(xml_parse(bad[i], "(test)", "a", &error));
        g_assert_nonnull(error);
    }
    for (int i = 0; i < 5000; i++)
        g_string_append(deep, "<a>");
    g_assert_null(xml_parse(deep->str, "(test)", NULL, NULL));
}

static void test_scaled(void)
{
    static const struct {
        const char *text, *unit;
        guint64 bytes;
    } good[] = {{"1", "KiB", 1024}, {"1", "k", 1024},  {"2", "MB", 2000000},
                {"3", "bytes", 3},  {"1", NULL, 1024}, {"1", "G", 1 << 30}};
    guint64 bytes;

    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(xml_parse_scaled(good[i].text, good[i].unit, 1024, &bytes, NULL));
        g_assert_cmpuint(bytes, ==, good[i].bytes);
    }
    g_assert_false(xml_parse_scaled("1", "X", 1, &bytes, NULL));
    g_assert_false(xml_parse_scaled("18446744073709551615", "KiB", 1, &bytes, NULL));
    g_assert_false(xml_parse_scaled("-1", "KiB", 1, &bytes, NULL));
}

static void test_bitmap(void)
{
    static const char *const bad[] = {"a", "1-", "-1", "3-1", "1,,2", "1,", "^1", "99999999999", "1 2"};
    g_autoptr(Bitmap) map = bitmap_parse("0-3,^2, 8", 0, NULL);
    g_autofree char *text = bitmap_format(map);
    guint8 bytes[2];

    g_assert_cmpstr(text, ==, "0-1,3,8");
    g_assert_cmpuint(bitmap_count(map), ==, 4);
    g_assert_cmpint(bitmap_last(map), ==, 8);
    bitmap_to_bytes(map, bytes, 2);
    g_assert_cmpuint(bytes[0], ==, 0x0b);
    g_assert_cmpuint(bytes[1], ==, 0x01);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_null(bitmap_parse(bad[i], 0, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xml/writer", test_writer);
    g_test_add_func("/xml/reader", test_reader);
    g_test_add_func("/xml/bad-documents", test_bad_documents);
    g_test_add_func("/xml/scaled", test_scaled);
    g_test_add_func("/xml/bitmap", test_bitmap);
    return g_test_run();
}
