/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The qemu namespace of a domain: arguments and environment, abilities to be ignored or assumed, properties of devices
 * overridden, what is done about deprecated parts. */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

typedef struct QemuEnv {
    char *name, *value; /* value may be NULL */
} QemuEnv;

typedef enum {
    QEMU_PROPERTY_STRING = 0,
    QEMU_PROPERTY_UNSIGNED,
    QEMU_PROPERTY_SIGNED,
    QEMU_PROPERTY_BOOL,
    QEMU_PROPERTY_REMOVE,
    QEMU_PROPERTY_LAST
} QemuPropertyType;
ENUM_TABLE_DECL(qemu_property, QemuPropertyType)

typedef struct QemuProperty {
    char *alias; /* of the device */
    char *name, *value; /* value: NULL with "remove" */
    QemuPropertyType type;
} QemuProperty;

typedef enum {
    QEMU_DEPRECATION_NONE = 0,
    QEMU_DEPRECATION_OMIT,
    QEMU_DEPRECATION_REJECT,
    QEMU_DEPRECATION_CRASH,
    QEMU_DEPRECATION_LAST
} QemuDeprecation;
ENUM_TABLE_DECL(qemu_deprecation, QemuDeprecation)

typedef struct QemuNamespace {
    gboolean given; /* the prefix was declared and something of it is used */
    GPtrArray *args; /* char * */
    GArray *env; /* QemuEnv */
    GPtrArray *caps_added, *caps_removed; /* char *: libvirt's names, kept; ours are asked of QEMU itself */
    GArray *overrides; /* QemuProperty, those of one device one after the other */
    QemuDeprecation deprecation;
} QemuNamespace;

void qemu_namespace_init(QemuNamespace *qemu);
void qemu_namespace_clear(QemuNamespace *qemu);
gboolean qemu_namespace_parse(QemuNamespace *qemu, xmlNodePtr domain, GError **error);
void qemu_namespace_format(XmlWriter *w, const QemuNamespace *qemu);
