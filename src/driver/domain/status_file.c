/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status file's format. See status_file.h. */
#include "driver/domain/status_file.h"

#include <string.h>

#include "common/enum_table.h"
#include "common/error.h"
#include "driver/domain/domain.h"
#include "driver/domain/domain_taint.h"

enum { VCPUS_MAX = DOMAIN_VCPUS_MAX };

/* virDomainState */
ENUM_TABLE_DECL(domain_state, int)
ENUM_TABLE(domain_state, int, 8, "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed",
           "pmsuspended")

void status_file_clear(StatusFile *status)
{
    g_clear_pointer(&status->backend, g_free);
    g_clear_pointer(&status->info, vm_live_info_free);
    g_clear_pointer(&status->def, domain_def_free);
    g_clear_pointer(&status->deprecations, g_ptr_array_unref);
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void yes_attr(XmlWriter *w, const char *name, gboolean value)
{
    xml_attr(w, name, value ? "yes" : NULL);
}

static void format_vcpu(XmlWriter *w, const VmVcpuInfo *vcpu)
{
    xml_open(w, "vcpu");
    xml_attr_u64(w, "index", vcpu->index);
    xml_attr_printf(w, "tid", "%d", (int)vcpu->tid);
    yes_attr(w, "online", vcpu->online);
    yes_attr(w, "hotpluggable", vcpu->hotpluggable);
    xml_attr(w, "alias", vcpu->alias);
    xml_attr(w, "qom-path", vcpu->qom_path);
    xml_attr(w, "qom-type", vcpu->qom_type);
    for (guint i = 0; i < CPU_LEVEL_LAST; i++)
        xml_attr_printf(w, cpu_level_names[i], "%d", vcpu->place.id[i]);
    xml_attr_u64(w, "order", vcpu->order);
    xml_close(w);
}

static void format_iothread(XmlWriter *w, const IothreadDef *iothread)
{
    xml_open(w, "iothread");
    xml_attr_u64(w, "id", iothread->id);
    xml_attr_printf(w, "tid", "%d", iothread->thread_id);
    xml_close(w);
}

char *status_file_format(const StatusFile *status)
{
    XmlWriter *w = xml_writer_new(0);

    xml_open(w, "domstatus");
    xml_attr(w, "state", domain_state_to_string(status->state));
    xml_attr_printf(w, "reason", "%d", status->reason);
    xml_attr_printf(w, "id", "%d", status->id);
    xml_attr_printf(w, "pid", "%d", (int)status->pid);
    xml_attr_u64(w, "start-time", status->start_time);
    xml_open(w, "backend");
    xml_attr(w, "name", status->backend);
    xml_close(w);
    if (status->shutdown_reason != 0) {
        xml_open(w, "shutdown");
        xml_attr_printf(w, "reason", "%d", status->shutdown_reason);
        xml_close(w);
    }
    xml_open(w, "flags");
    yes_attr(w, "updated", status->updated);
    yes_attr(w, "fake-reboot", status->fake_reboot);
    yes_attr(w, "guest-shutdown", status->guest_shutdown);
    yes_attr(w, "autodestroy", status->autodestroy);
    yes_attr(w, "kvm", status->info != NULL && status->info->kvm);
    xml_close(w);
    for (int taint = 0; taint < DOMAIN_TAINT_LAST; taint++) {
        if (!(status->taints & (G_GUINT64_CONSTANT(1) << taint)))
            continue;
        xml_open(w, "taint");
        xml_attr(w, "name", domain_taint_name(taint));
        xml_close(w);
    }
    for (guint i = 0; status->deprecations != NULL && i < status->deprecations->len; i++)
        xml_element_text(w, "deprecation", g_ptr_array_index(status->deprecations, i));
    if (status->info != NULL) {
        xml_open(w, "balloon");
        xml_attr_u64(w, "kib", status->info->balloon_kib);
        xml_close(w);
        for (guint i = 0; i < status->info->n_vcpus; i++)
            format_vcpu(w, &status->info->vcpus[i]);
        if (status->info->asked_cpu != NULL) {
            xml_open(w, "cpu");
            cpu_def_format_body(w, status->info->asked_cpu);
            xml_close(w);
        }
    }
    for (guint i = 0; i < status->def->iothreads->len; i++)
        format_iothread(w, g_ptr_array_index(status->def->iothreads, i));
    domain_def_format_into(w, status->def, DOMAIN_DEF_FORMAT_STATUS | DOMAIN_DEF_FORMAT_SECURE);
    xml_close(w);
    return xml_writer_finish(w);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static gboolean yes(xmlNodePtr node, const char *name)
{
    g_autofree char *value = xml_get_attr(node, name);

    return g_strcmp0(value, "yes") == 0;
}

static gboolean parse_vcpu(xmlNodePtr node, VmVcpuInfo *vcpu, guint n, GError **error)
{
    int tid = 0;

    *vcpu = (VmVcpuInfo){.place = CPU_PLACE_NONE};
    vcpu->alias = xml_get_attr(node, "alias");
    vcpu->qom_path = xml_get_attr(node, "qom-path");
    vcpu->qom_type = xml_get_attr(node, "qom-type");
    vcpu->online = yes(node, "online");
    vcpu->hotpluggable = yes(node, "hotpluggable");
    if (!xml_attr_get_uint(node, "index", XML_REQUIRED, &vcpu->index, error) ||
        !xml_attr_get_int(node, "tid", XML_REQUIRED, &tid, error) ||
        !xml_attr_get_uint(node, "order", XML_OPTIONAL, &vcpu->order, error))
        return FALSE;
    for (guint i = 0; i < CPU_LEVEL_LAST; i++) {
        if (!xml_attr_get_int(node, cpu_level_names[i], 0, &vcpu->place.id[i], error))
            return FALSE;
    }
    vcpu->tid = tid;
    if (vcpu->index != n)
        return error_set(error, VIR_ERR_XML_ERROR, "vcpu %u of the status file is out of order", vcpu->index);
    return TRUE;
}

/* Threads that the definition does not know are passed over. */
static gboolean parse_iothread(xmlNodePtr node, DomainDef *def, GError **error)
{
    IothreadDef *iothread;
    guint id = 0;
    int tid = 0;

    if (!xml_attr_get_uint(node, "id", XML_REQUIRED, &id, error) ||
        !xml_attr_get_int(node, "tid", XML_REQUIRED, &tid, error))
        return FALSE;
    iothread = domain_def_iothread(def, id);
    if (iothread != NULL)
        iothread->thread_id = tid;
    return TRUE;
}

static gboolean parse_info(xmlNodePtr root, VmLiveInfo *info, GError **error)
{
    guint n_vcpus = xml_count(root, "vcpu");
    xmlNodePtr balloon = xml_child(root, "balloon"), cpu = xml_child(root, "cpu");

    if (n_vcpus > VCPUS_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "the status file lists %u vcpus", n_vcpus);
    if (balloon != NULL && !xml_attr_get_u64(balloon, "kib", XML_REQUIRED, &info->balloon_kib, error))
        return FALSE;
    if (cpu != NULL && (info->asked_cpu = cpu_def_parse(cpu, TRUE, error)) == NULL)
        return FALSE;
    info->vcpus = g_new0(VmVcpuInfo, n_vcpus + 1);
    XML_FOREACH(node, root, "vcpu")
    {
        guint n = info->n_vcpus++;

        if (!parse_vcpu(node, &info->vcpus[n], n, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean parse_flags(xmlNodePtr root, StatusFile *status, GError **error)
{
    xmlNodePtr flags = xml_child(root, "flags");
    xmlNodePtr shutdown = xml_child(root, "shutdown");

    if (flags != NULL) {
        status->updated = yes(flags, "updated");
        status->fake_reboot = yes(flags, "fake-reboot");
        status->guest_shutdown = yes(flags, "guest-shutdown");
        status->autodestroy = yes(flags, "autodestroy");
        status->info->kvm = yes(flags, "kvm");
    }
    XML_FOREACH(node, root, "taint")
    {
        g_autofree char *name = xml_get_attr(node, "name");

        for (int taint = 0; taint < DOMAIN_TAINT_LAST; taint++) {
            if (g_strcmp0(name, domain_taint_name(taint)) == 0)
                status->taints |= G_GUINT64_CONSTANT(1) << taint;
        }
    }
    XML_FOREACH(node, root, "deprecation")
    {
        if (status->deprecations == NULL)
            status->deprecations = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(status->deprecations, xml_get_text(node));
    }
    return shutdown == NULL ||
           xml_attr_get_int(shutdown, "reason", XML_REQUIRED, &status->shutdown_reason, error);
}

static gboolean parse_root(xmlNodePtr root, const DomainDefEnv *env, StatusFile *status, GError **error)
{
    xmlNodePtr backend = xml_child(root, "backend"), domain = xml_child(root, "domain");
    int pid = 0;

    if (backend == NULL || domain == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "the status file has no <%s>",
                         backend == NULL ? "backend" : "domain");
    status->backend = xml_get_attr(backend, "name");
    if (status->backend == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "<backend> of the status file has no name");
    if (!xml_attr_get_enum(root, "state", domain_state_from_string, XML_REQUIRED, &status->state, error) ||
        !xml_attr_get_int(root, "reason", XML_REQUIRED, &status->reason, error) ||
        !xml_attr_get_int(root, "id", XML_REQUIRED, &status->id, error) ||
        !xml_attr_get_int(root, "pid", XML_REQUIRED, &pid, error) ||
        !xml_attr_get_u64(root, "start-time", XML_REQUIRED, &status->start_time, error))
        return FALSE;
    if (status->id <= 0 || pid <= 1)
        return error_set(error, VIR_ERR_XML_ERROR, "the status file has id %d and pid %d", status->id, pid);
    status->pid = pid;
    status->info = g_new0(VmLiveInfo, 1);
    status->info->status = g_strdup(status->state == VIR_DOMAIN_RUNNING ? "running" : "paused");
    status->info->running = status->state == VIR_DOMAIN_RUNNING;
    if (!parse_flags(root, status, error) || !parse_info(root, status->info, error))
        return FALSE;
    status->def =
        domain_def_parse_node(domain, env, DOMAIN_DEF_PARSE_STATUS | DOMAIN_DEF_PARSE_SKIP_VALIDATE, error);
    if (status->def == NULL)
        return FALSE;
    XML_FOREACH(node, root, "iothread")
    {
        if (!parse_iothread(node, status->def, error))
            return FALSE;
    }
    return TRUE;
}

gboolean status_file_parse(const char *text, const DomainDefEnv *env, StatusFile *ret, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(text, "(domain_status)", "domstatus", error);

    *ret = (StatusFile){0};
    if (doc == NULL)
        return FALSE;
    if (parse_root(xmlDocGetRootElement(doc), env, ret, error))
        return TRUE;
    status_file_clear(ret);
    return FALSE;
}
