/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An element described once as a table of fields; reading, writing and freeing it follow from the table, so that
 * what can be read is also written, under the same name and in one fixed order. A table is a static array ended by
 * FIELD_END; attributes stand before child elements, in the order libvirt writes them.
 *
 *     static const Field driver_fields[] = {
 *         FIELD_STR(DiskDef, driver_name, "name"),
 *         FIELD_ENUM(DiskDef, cache, "cache", disk_cache),
 *         FIELD_END};
 *     static const Field disk_fields[] = {FIELD_ELEMENT("driver", driver_fields), FIELD_END};
 *
 * Struct members by kind: STR char *, UINT/INT/ENUM and tristates four bytes, U64 guint64, booleans gboolean.
 */
#pragma once

#include <stddef.h>

#include "common/xml.h"

typedef enum {
    FIELD_KIND_END = 0,
    FIELD_KIND_STR,      /* owned string; NULL is not written */
    FIELD_KIND_UINT,     /* 0 is not written */
    FIELD_KIND_INT,      /* the value "absent" is not written */
    FIELD_KIND_INT_HEX,  /* the same, written 0x… */
    FIELD_KIND_U64,      /* 0 is not written */
    FIELD_KIND_ENUM,     /* the value "absent" is not written */
    FIELD_KIND_YES_NO,   /* Tristate */
    FIELD_KIND_ON_OFF,   /* Tristate */
    FIELD_KIND_YES,      /* gboolean: written ='yes' when TRUE */
    FIELD_KIND_YES_NO_2, /* gboolean: always written, 'yes' or 'no' */
    FIELD_KIND_FLAG,     /* gboolean: an empty child element that is there or not */
    FIELD_KIND_KIB,      /* child only: guint64, <name unit='KiB'>; 0 is not written */
    FIELD_KIND_ELEMENT   /* child element with a table of its own, of the same struct */
} FieldKind;

typedef enum {
    FIELD_REQUIRED = XML_REQUIRED,
    FIELD_NONZERO = XML_NONZERO,
    FIELD_CHILD = 1 << 8,    /* text of a child element instead of an attribute */
    FIELD_PRESENT = 1 << 9,  /* ELEMENT: offset is a gboolean, TRUE when the element is there, even empty */
    FIELD_NO_PARSE = 1 << 10 /* written only: read by the caller */
} FieldFlags;

typedef struct Field Field;
struct Field {
    const char *name;
    FieldKind kind;
    guint flags;
    gsize offset;
    int absent;
    const char *(*to_string)(int value);
    int (*from_string)(const char *name);
    const char *unknown; /* ENUM: see xml_attr_get_word() */
    const Field *items;
};

#define FIELD_END {.kind = FIELD_KIND_END}
#define FIELD_OF(Type, member, name_, kind_, ...)                                                            \
    {.name = (name_), .kind = (kind_), .offset = offsetof(Type, member), __VA_ARGS__}
#define FIELD_STR(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_STR, )
#define FIELD_STR_REQUIRED(Type, member, name)                                                               \
    FIELD_OF(Type, member, name, FIELD_KIND_STR, .flags = FIELD_REQUIRED)
#define FIELD_STR_CHILD(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_STR, .flags = FIELD_CHILD)
#define FIELD_UINT(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_UINT, )
#define FIELD_INT(Type, member, name, absent_) FIELD_OF(Type, member, name, FIELD_KIND_INT, .absent = (absent_))
#define FIELD_INT_CHILD(Type, member, name, absent_)                                                         \
    FIELD_OF(Type, member, name, FIELD_KIND_INT, .absent = (absent_), .flags = FIELD_CHILD)
#define FIELD_INT_HEX(Type, member, name, absent_)                                                           \
    FIELD_OF(Type, member, name, FIELD_KIND_INT_HEX, .absent = (absent_))
#define FIELD_U64(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_U64, )
#define FIELD_U64_CHILD(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_U64, .flags = FIELD_CHILD)
#define FIELD_KIB(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_KIB, .flags = FIELD_CHILD)
/* Enums whose value 0 means "nothing said" and has no name in XML. More members may follow, such as .unknown.
 */
#define FIELD_ENUM(Type, member, name, ...)                                                                  \
    FIELD_OF(Type, member, name, FIELD_KIND_ENUM, .flags = FIELD_NONZERO, FIELD_TABLE_AND(__VA_ARGS__, ))
/* Enums whose every value is a word in XML; always written. */
#define FIELD_ENUM_ALWAYS(Type, member, name, table, ...)                                                    \
    FIELD_OF(Type, member, name, FIELD_KIND_ENUM, .absent = -1, FIELD_TABLE(table), .flags = __VA_ARGS__)
#define FIELD_TABLE_AND(table, ...) FIELD_TABLE(table), __VA_ARGS__
#define FIELD_TABLE(table)                                                                                   \
    .to_string = (const char *(*)(int))table##_to_string, .from_string = table##_from_string
#define FIELD_YES_NO(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_YES_NO, )
#define FIELD_ON_OFF(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_ON_OFF, )
#define FIELD_YES(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_YES, )
#define FIELD_YES_NO_2(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_YES_NO_2, )
#define FIELD_FLAG(Type, member, name) FIELD_OF(Type, member, name, FIELD_KIND_FLAG, )
#define FIELD_ELEMENT(name_, items_) {.name = (name_), .kind = FIELD_KIND_ELEMENT, .items = (items_)}
#define FIELD_ELEMENT_PRESENT(Type, member, name, items_)                                                    \
    FIELD_OF(Type, member, name, FIELD_KIND_ELEMENT, .flags = FIELD_PRESENT, .items = (items_))
/* The four <driver> attributes of a virtio device; options is its VirtioOptions member. */
#define FIELDS_VIRTIO_OPTIONS(Type, options)                                                                 \
    FIELD_ON_OFF(Type, options.iommu, "iommu"), FIELD_ON_OFF(Type, options.ats, "ats"),                      \
        FIELD_ON_OFF(Type, options.packed, "packed"), FIELD_ON_OFF(Type, options.page_per_vq, "page_per_vq")

/* Reads what the table names from node into object; what is absent stays as it is. VIR_ERR_XML_ERROR. */
gboolean fields_parse(const Field *fields, xmlNodePtr node, gpointer object, GError **error);
/* Writes attributes and children into the element that is open. */
void fields_format(XmlWriter *w, const Field *fields, gconstpointer object);
/* Writes <name …/> unless there is nothing to put into it. */
void fields_format_element(XmlWriter *w, const char *name, const Field *fields, gconstpointer object);
/* Whether fields_format() would write anything. */
gboolean fields_any(const Field *fields, gconstpointer object);
/* Frees and clears all strings. */
void fields_clear(const Field *fields, gpointer object);
/* Whether both objects would be written alike. */
gboolean fields_equal(const Field *fields, gconstpointer a, gconstpointer b);
