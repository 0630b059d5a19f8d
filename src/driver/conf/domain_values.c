/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of a definition that are read and changed as one: vCPUs, memory, texts, metadata, boot order. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"

/* --- vCPUs, memory, I/O threads ----------------------------------------------------------------------- */

guint domain_def_vcpus(const DomainDef *def)
{
    guint n = 0;

    for (guint i = 0; i < def->vcpus->len; i++)
        n += domain_def_vcpu(def, i)->online ? 1 : 0;
    return n;
}

guint domain_def_vcpus_max(const DomainDef *def)
{
    return def->vcpus->len;
}

gboolean domain_def_set_vcpus_max(DomainDef *def, guint max, GError **error)
{
    if (max == 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "domain config can't have 0 maximum vCPUs");
    if (max > DOMAIN_VCPUS_MAX)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%u vCPUs are more than the limit of %u", max,
                         DOMAIN_VCPUS_MAX);
    g_array_set_size(def->vcpus, max);
    return TRUE;
}

gboolean domain_def_set_vcpus(DomainDef *def, guint online, GError **error)
{
    if (online == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu 0 can't be offline");
    if (online > def->vcpus->len)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "maxvcpus must not be less than current vcpus (%u < %u)", def->vcpus->len, online);
    for (guint i = 0; i < def->vcpus->len; i++)
        domain_def_vcpu(def, i)->online = i < online;
    return TRUE;
}

gboolean domain_def_has_memory_hotplug(const DomainDef *def)
{
    return def->memory_slots > 0 || def->max_memory > 0;
}

void domain_def_set_memory(DomainDef *def, guint64 total_kib)
{
    def->memory = total_kib;
}

IothreadDef *domain_def_iothread(const DomainDef *def, guint id)
{
    for (guint i = 0; i < def->iothreads->len; i++) {
        IothreadDef *iothread = g_ptr_array_index(def->iothreads, i);

        if (iothread->id == id)
            return iothread;
    }
    return NULL;
}

const SysinfoDef *domain_def_sysinfo(const DomainDef *def, gboolean fwcfg)
{
    for (guint i = 0; i < def->sysinfo->len; i++) {
        const SysinfoDef *sysinfo = g_ptr_array_index(def->sysinfo, i);

        if (sysinfo->fwcfg == fwcfg)
            return sysinfo;
    }
    return NULL;
}

/* --- boot order --------------------------------------------------------------------------------------- */

static gboolean clear_boot(DeviceInfo *dev, gpointer data)
{
    dev->effective_boot_index = dev->boot_index;
    if (dev->boot_index > 0)
        *(gboolean *)data = TRUE;
    return TRUE;
}

static guint boot_priority(const DomainDef *def, BootDevice device)
{
    for (guint i = 0; i < def->os.n_boot; i++) {
        if (def->os.boot[i] == device)
            return i + 1;
    }
    return 0;
}

/* With <boot dev=>, the first device of each class gets the place of its class. */
void domain_def_boot_order(DomainDef *def)
{
    gboolean per_device = FALSE;
    guint place[BOOT_LAST];

    domain_def_visit(def, clear_boot, &per_device);
    if (per_device)
        return;
    for (int i = 0; i < BOOT_LAST; i++)
        place[i] = boot_priority(def, i);
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        int class = disk->device == DISK_DEVICE_CDROM    ? BOOT_CDROM
                    : disk->device == DISK_DEVICE_FLOPPY ? BOOT_FLOPPY
                                                         : BOOT_DISK;

        disk->info.effective_boot_index = place[class];
        place[class] = 0;
    }
    if (domain_def_n(def, DEVICE_INTERFACE) > 0)
        ((DeviceInfo *)domain_def_get(def, DEVICE_INTERFACE, 0))->effective_boot_index = place[BOOT_NETWORK];
}

/* --- texts and metadata ------------------------------------------------------------------------------- */

gboolean domain_def_set_title(DomainDef *def, const char *title, GError **error)
{
    if (title != NULL && strchr(title, '\n') != NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "Domain title can't contain newlines");
    g_free(def->title);
    def->title = title != NULL && *title != '\0' ? g_strdup(title) : NULL;
    return TRUE;
}

void domain_def_set_description(DomainDef *def, const char *description)
{
    g_free(def->description);
    def->description = description != NULL && *description != '\0' ? g_strdup(description) : NULL;
}

/* The index of the element of a namespace, or -1. */
static int find_metadata(const DomainDef *def, const char *uri, xmlDocPtr *ret_doc)
{
    for (guint i = 0; i < def->metadata->len; i++) {
        xmlDocPtr doc = xml_parse(g_ptr_array_index(def->metadata, i), "(metadata)", NULL, NULL);
        xmlNodePtr root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;

        if (root != NULL && root->ns != NULL && g_strcmp0((const char *)root->ns->href, uri) == 0) {
            if (ret_doc != NULL)
                *ret_doc = doc;
            else
                xmlFreeDoc(doc);
            return (int)i;
        }
        xmlFreeDoc(doc);
    }
    return -1;
}

static void strip_namespace(xmlNodePtr node, const char *uri)
{
    if (node->type != XML_ELEMENT_NODE)
        return;
    if (node->ns != NULL && g_strcmp0((const char *)node->ns->href, uri) == 0)
        node->ns = NULL;
    for (xmlNodePtr child = node->children; child != NULL; child = child->next)
        strip_namespace(child, uri);
}

/* Removes the declarations of a namespace from one node. */
static void drop_declarations(xmlNodePtr node, const char *uri)
{
    for (xmlNsPtr *p = &node->nsDef; *p != NULL;) {
        xmlNsPtr ns = *p;

        if (g_strcmp0((const char *)ns->href, uri) == 0) {
            *p = ns->next;
            xmlFreeNs(ns);
        } else {
            p = &ns->next;
        }
    }
}

/* As libvirt gives it: without the namespace's prefix and declaration. */
char *domain_def_get_metadata(const DomainDef *def, const char *uri)
{
    xmlDocPtr doc = NULL;
    xmlNodePtr root;
    char *text;

    if (uri == NULL || find_metadata(def, uri, &doc) < 0)
        return NULL;
    root = xmlDocGetRootElement(doc);
    strip_namespace(root, uri);
    drop_declarations(root, uri);
    text = xml_node_dump(root);
    xmlFreeDoc(doc);
    return text;
}

static void add_namespace(xmlNodePtr node, xmlNsPtr ns)
{
    if (node->type != XML_ELEMENT_NODE)
        return;
    if (node->ns == NULL)
        node->ns = ns;
    for (xmlNodePtr child = node->children; child != NULL; child = child->next)
        add_namespace(child, ns);
}

gboolean domain_def_set_metadata(DomainDef *def, const char *xml, const char *key, const char *uri,
                                 GError **error)
{
    g_autofree char *text = NULL;
    int index;

    if (uri == NULL || *uri == '\0')
        return error_set(error, VIR_ERR_INVALID_ARG, "metadata needs a namespace URI");
    if (xml != NULL && *xml != '\0') {
        g_autoptr(xmlDoc) doc = NULL;
        xmlNodePtr root;
        xmlNsPtr ns;

        if (key == NULL || *key == '\0' || xmlValidateNCName((const xmlChar *)key, 0) != 0)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "'%s' is not a valid key (namespace prefix) for metadata",
                             key != NULL ? key : "");
        doc = xml_parse(xml, "(metadata_xml)", NULL, error);
        if (doc == NULL)
            return FALSE;
        root = xmlDocGetRootElement(doc);
        ns = xmlNewNs(root, (const xmlChar *)uri, (const xmlChar *)key);
        if (ns == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "metadata already uses the prefix '%s'", key);
        add_namespace(root, ns);
        text = xml_node_dump(root);
    }
    index = find_metadata(def, uri, NULL);
    if (index >= 0)
        g_ptr_array_remove_index(def->metadata, (guint)index);
    if (text != NULL)
        g_ptr_array_add(def->metadata, g_steal_pointer(&text));
    return TRUE;
}
