/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkitexml: the only door to libxml2. A writer that emits documents in libvirt's style (two spaces, single
 * quotes), typed getters that turn attributes and child text into values or a clear error, and RNG
 * validation. Objects belong to one thread at a time.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

#include "common/error.h"

/* --- writer --------------------------------------------------------------------------------------------- */

typedef struct XmlWriter XmlWriter;

XmlWriter *xml_writer_new(guint indent); /* indent: depth to start at, 0 for a document */
/* Frees the writer and gives the text, which ends in a newline. All elements must be closed. */
char *xml_writer_finish(XmlWriter *w);
void xml_writer_free(XmlWriter *w);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlWriter, xml_writer_free)

void xml_open(XmlWriter *w, const char *name);
/* The innermost element gets an end tag of its own even if nothing follows. */
void xml_body(XmlWriter *w);
/* Ends the innermost element: <name/> when nothing was put into it. */
void xml_close(XmlWriter *w);
/* On the element opened last, before any content. Values are escaped; control characters that XML cannot hold
 * are dropped. xml_attr() with a NULL value writes nothing. */
void xml_attr(XmlWriter *w, const char *name, const char *value);
void xml_attr_printf(XmlWriter *w, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
void xml_attr_u64(XmlWriter *w, const char *name, guint64 value);
/* "0x1f" with at least so many digits (1 to 16). */
void xml_attr_hex(XmlWriter *w, const char *name, guint64 value, guint digits);
/* Text content: <name>text</name> on one line. A text element must have no children. */
void xml_text(XmlWriter *w, const char *text);
void xml_text_printf(XmlWriter *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
void xml_text_u64(XmlWriter *w, guint64 value);
/* <name>text</name>; nothing when text is NULL. */
void xml_element_text(XmlWriter *w, const char *name, const char *text);
void xml_element_printf(XmlWriter *w, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
void xml_element_u64(XmlWriter *w, const char *name, guint64 value);
/* <name/> */
void xml_element_empty(XmlWriter *w, const char *name);
/* Whole, already well-formed lines: indented to the current depth as they are / put in byte for byte. */
void xml_raw_indented(XmlWriter *w, const char *lines);
void xml_raw_verbatim(XmlWriter *w, const char *bytes);

/* --- reader --------------------------------------------------------------------------------------------- */

/* Parses a document without network, external entities or DTD loading, depth- and size-limited. "what" names
 * it in errors, e.g. "(domain_definition)". root, when not NULL, is the name the root element must have.
 * Errors: VIR_ERR_XML_DETAIL with line and libxml2's words, in the name of the driver whose document it is. All
 * other errors of this library are VIR_FROM_XML's. */
#define xml_parse(text, what, root, error) xml_parse_from(ERROR_FROM, (text), (what), (root), (error))
xmlDocPtr xml_parse_from(virErrorDomain from, const char *text, const char *what, const char *root, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* Children: first / next element child, optionally of one name (NULL: any). */
xmlNodePtr xml_child(xmlNodePtr node, const char *name);
xmlNodePtr xml_next(xmlNodePtr node, const char *name);
guint xml_count(xmlNodePtr node, const char *name);
gboolean xml_is(xmlNodePtr node, const char *name);
#define XML_FOREACH(var, parent, name)                                                                       \
    for (xmlNodePtr var = xml_child((parent), (name)); var != NULL; var = xml_next(var, (name)))

/* Strings: NULL when absent. Caller frees. xml_get_text() is the text content, surrounding space kept. */
char *xml_get_attr(xmlNodePtr node, const char *name);
char *xml_get_text(xmlNodePtr node);
char *xml_get_child_text(xmlNodePtr node, const char *child);

typedef enum {
    XML_OPTIONAL = 0,
    XML_REQUIRED = 1 << 0, /* absent is an error */
    XML_NONZERO = 1 << 1 /* zero is an error (numbers); value 0 is not allowed (enums) */
} XmlGetFlags;

/* Typed attributes. Absent: *ret keeps its value and TRUE is returned. Wrong: VIR_ERR_XML_ERROR naming
 * element, attribute and value. */
gboolean xml_attr_get_uint(xmlNodePtr node, const char *name, XmlGetFlags flags, guint *ret, GError **error);
gboolean xml_attr_get_int(xmlNodePtr node, const char *name, XmlGetFlags flags, gint *ret, GError **error);
gboolean xml_attr_get_u64(xmlNodePtr node, const char *name, XmlGetFlags flags, guint64 *ret, GError **error);
/* Numbers that may be written 0x…: addresses. */
gboolean xml_attr_get_hex(xmlNodePtr node, const char *name, XmlGetFlags flags, guint64 *ret, GError **error);
/* "yes"/"no" and "on"/"off" into TRISTATE_*. */
typedef enum { TRISTATE_ABSENT = 0, TRISTATE_YES, TRISTATE_NO } Tristate;
gboolean xml_attr_get_yes_no(xmlNodePtr node, const char *name, XmlGetFlags flags, Tristate *ret,
                             GError **error);
gboolean xml_attr_get_on_off(xmlNodePtr node, const char *name, XmlGetFlags flags, Tristate *ret,
                             GError **error);
/* from_string is an ENUM_TABLE's. */
gboolean xml_attr_get_enum(xmlNodePtr node, const char *name, int (*from_string)(const char *),
                           XmlGetFlags flags, int *ret, GError **error);
/* The same where libvirt, for the attributes that are older than its common reader, calls a word that it does
 * not know VIR_ERR_CONFIG_UNSUPPORTED of VIR_FROM_DOMAIN; unknown is its text before the word: "unknown
 * watchdog model". NULL: as above. */
gboolean xml_attr_get_word(xmlNodePtr node, const char *name, int (*from_string)(const char *),
                           XmlGetFlags flags, const char *unknown, int *ret, GError **error);
const char *tristate_yes_no(Tristate t); /* NULL when absent */
const char *tristate_on_off(Tristate t);

/* Child text as number. */
gboolean xml_child_get_uint(xmlNodePtr node, const char *child, XmlGetFlags flags, guint *ret,
                            GError **error);
gboolean xml_child_get_u64(xmlNodePtr node, const char *child, XmlGetFlags flags, guint64 *ret,
                           GError **error);
/* <memory unit='MiB'>: any of libvirt's units; default_unit_bytes is used when the attribute is absent.
 * The result is rounded up to KiB and given in KiB. */
gboolean xml_child_get_memory_kib(xmlNodePtr node, const char *child, XmlGetFlags flags, guint64 *ret_kib,
                                  GError **error);
gboolean xml_parse_scaled(const char *text, const char *unit, guint64 default_scale, guint64 *ret_bytes,
                          GError **error);

/* Serialises one node with its children byte for byte as it stood (user metadata). Caller frees. */
char *xml_node_dump(xmlNodePtr node);

/* --- schemas -------------------------------------------------------------------------------------------- */

/* Validates against an RNG schema file. VIR_ERR_XML_INVALID_SCHEMA with libxml2's words. */
gboolean xml_validate_rng(const char *schema_path, xmlDocPtr doc, GError **error);
