/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making, finding again and removing the groups of a VM. See cgroup.h; what systemd does is in cgroup_systemd.c. */
#define LOG_SOURCE "host.cgroup"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/host/cgroup_private.h"
#include "driver/host/cgroup_systemd.h"

#define DEFAULT_PARTITION "/machine"
#define SUFFIX ".libvirt-kite"

enum { REMOVE_MS = 1000 };

/* Controllers that threads have groups of. */
static const CgroupController thread_controllers[] = {CGROUP_CPU, CGROUP_CPUACCT, CGROUP_CPUSET};

Cgroup *cgroup_ref(Cgroup *group)
{
    if (group != NULL)
        g_atomic_ref_count_inc(&group->refs);
    return group;
}

void cgroup_unref(Cgroup *group)
{
    if (group == NULL || !g_atomic_ref_count_dec(&group->refs))
        return;
    cgroup_layout_clear(&group->layout);
    g_free(group->root);
    g_free(group->path);
    g_free(group->unit);
    g_free(group->machine);
    g_free(group);
}

static Cgroup *group_new(const char *root, guint controllers)
{
    Cgroup *group = g_new0(Cgroup, 1);

    g_atomic_ref_count_init(&group->refs);
    group->root = g_strdup(root);
    if (cgroup_layout_read(root, controllers, &group->layout))
        return group;
    cgroup_unref(group);
    return NULL;
}

const char *cgroup_path(const Cgroup *group)
{
    return group->path;
}

/* --- folders -------------------------------------------------------------------------------------------- */

/* Nobody lets us: no reason to keep a VM from running. */
static gboolean is_forbidden(int errnum)
{
    return errnum == EPERM || errnum == EACCES || errnum == EROFS || errnum == ENXIO;
}

/* TRUE: it is there now; *ret_fresh: it was not before. */
static gboolean make_folder(const char *path, gboolean *ret_fresh)
{
    *ret_fresh = mkdir(path, 0755) == 0;
    if (!*ret_fresh)
        cgroup_file_note(errno);
    return *ret_fresh || errno == EEXIST;
}

static void copy_value(const char *from, const char *to, const char *name)
{
    g_autofree char *source = g_build_filename(from, name, NULL);
    g_autofree char *target = g_build_filename(to, name, NULL);
    g_autofree char *value = cgroup_file_read(source, NULL);

    if (value != NULL)
        cgroup_file_write(target, value, NULL);
}

static gboolean make_v1(CgroupLayout *layout, CgroupController controller, const char *above, const char *below,
                        GError **error)
{
    g_autofree char *parent = g_strconcat(layout->v1[controller], above, NULL);
    g_autofree char *path = g_strconcat(layout->v1[controller], below, NULL);
    gboolean fresh;

    if (!make_folder(path, &fresh)) {
        if (controller == CGROUP_BLKIO && !is_forbidden(errno)) { /* old kernels have no groups within groups of it */
            g_clear_pointer(&layout->v1[controller], g_free);
            return TRUE;
        }
        return error_set_errno(error, errno, "Failed to create v1 controller %s for group",
                               cgroup_controller_name(controller, FALSE));
    }
    if (!fresh)
        return TRUE;
    if (controller == CGROUP_CPUSET) { /* a new group has neither CPUs nor nodes, and takes no task */
        copy_value(parent, path, "cpuset.cpus");
        copy_value(parent, path, "cpuset.mems");
        copy_value(parent, path, "cpuset.memory_migrate");
    } else if (controller == CGROUP_MEMORY) {
        g_autofree char *hierarchy = g_build_filename(path, "memory.use_hierarchy", NULL);
        g_autofree char *value = cgroup_file_read(hierarchy, NULL);

        if (g_strcmp0(value, "0") == 0)
            cgroup_file_write(hierarchy, "1", NULL);
    }
    return TRUE;
}

/* What a folder's parent hands down to it. Those of v2 that it does not are not there for us. All in one write: for each
 * the kernel may have to halt every fork and exit of the host. One that cannot be had spoils that; then one by one. */
static void enable_v2(CgroupLayout *layout, const char *parent)
{
    g_autofree char *control = g_build_filename(parent, "cgroup.subtree_control", NULL);
    g_autoptr(GString) all = g_string_new(NULL);

    for (int i = 0; i < CGROUP_LAST; i++) {
        if (cgroup_controller_name(i, TRUE) != NULL && (layout->v2_controllers & CGROUP_BIT(i)))
            g_string_append_printf(all, "%s+%s", all->len > 0 ? " " : "", cgroup_controller_name(i, TRUE));
    }
    if (all->len == 0 || cgroup_file_write(control, all->str, NULL))
        return;
    for (int i = 0; i < CGROUP_LAST; i++) {
        const char *name = cgroup_controller_name(i, TRUE);
        g_autofree char *word = NULL;

        if (name == NULL || !(layout->v2_controllers & CGROUP_BIT(i)))
            continue;
        word = g_strconcat("+", name, NULL);
        if (!cgroup_file_write(control, word, NULL)) {
            log_debug("controller '%s' cannot be had below '%s': %s", name, parent, g_strerror(cgroup_file_errno()));
            layout->v2_controllers &= ~CGROUP_BIT(i);
        }
    }
}

static gboolean make_v2(CgroupLayout *layout, const char *above, const char *below, GError **error)
{
    g_autofree char *parent = g_strconcat(layout->v2, above, NULL);
    g_autofree char *path = g_strconcat(layout->v2, below, NULL);
    gboolean fresh;

    if (!make_folder(path, &fresh))
        return error_set_errno(error, errno, "Failed to create v2 cgroup '%s'", path);
    enable_v2(layout, parent);
    return TRUE;
}

/* below, in all hierarchies; it is a child of above ("" at the top). */
static gboolean make_all(CgroupLayout *layout, const char *above, const char *below, GError **error)
{
    for (int i = 0; i < CGROUP_LAST; i++) {
        if (layout->v1[i] != NULL && !make_v1(layout, i, above, below, error))
            return FALSE;
    }
    return layout->v2 == NULL || layout->v2_controllers == 0 || make_v2(layout, above, below, error);
}

/* --- removing ------------------------------------------------------------------------------------------- */

static void kill_members(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "cgroup.procs", NULL);
    g_autofree char *text = cgroup_file_read(path, NULL);

    for (char *at = text; at != NULL && *at != '\0';) {
        pid_t pid = (pid_t)strtol(at, &at, 10);

        if (pid > 1 && pid != getpid())
            kill(pid, SIGKILL);
        at += strspn(at, "\n");
    }
}

/* A folder and the groups of threads in it. FALSE: something is still in there. */
static gboolean remove_folder(const char *path, gboolean end)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        g_autofree char *below = NULL;

        /* The kernel's own files, some eighty of them, go by themselves. */
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && !cgroup_fake_tree))
            continue;
        below = g_build_filename(path, entry->d_name, NULL);
        if (entry->d_type == DT_DIR)
            remove_folder(below, end);
        else
            unlink(below);
    }
    if (dir != NULL)
        closedir(dir);
    if (rmdir(path) == 0 || errno == ENOENT)
        return TRUE;
    if (end)
        kill_members(path);
    return FALSE;
}

/* Each folder that is our own, once: several controllers may be in one hierarchy. with_scopes: those of the scope, too,
 * where it is we who made them, and nobody else removes them. Caller unrefs. */
static GPtrArray *list_folders(const Cgroup *group, const char *thread, gboolean with_scopes)
{
    GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);

    for (int i = 0; i < CGROUP_LAST; i++) {
        char *folder = cgroup_folder(group, i, thread, with_scopes && !cgroup_is_v2(group, i));

        if (folder != NULL && !g_ptr_array_find_with_equal_func(folders, folder, g_str_equal, NULL))
            g_ptr_array_add(folders, folder);
        else
            g_free(folder);
    }
    return folders;
}

static GPtrArray *own_folders(const Cgroup *group, const char *thread)
{
    return list_folders(group, thread, FALSE);
}

/* A process that has ended leaves its group a moment after its parent has heard of it, and v1 tells nobody when. */
static void wait_a_moment(guint *ms)
{
    poll(NULL, 0, (int)*ms);
    *ms = MIN(*ms * 2, 50);
}

gboolean cgroup_remove(Cgroup *group)
{
    gint64 deadline = g_get_monotonic_time() + REMOVE_MS * G_TIME_SPAN_MILLISECOND;
    g_autoptr(GPtrArray) folders = NULL;
    guint ms = 1;

    if (group == NULL)
        return TRUE;
    systemd_end_machine(group);
    folders = list_folders(group, NULL, TRUE);
    for (guint tries = 0;; tries++) {
        for (guint i = folders->len; i-- > 0;) {
            if (remove_folder(g_ptr_array_index(folders, i), tries > 2))
                g_ptr_array_remove_index_fast(folders, i);
        }
        if (folders->len == 0)
            return TRUE;
        if (g_get_monotonic_time() > deadline)
            break;
        wait_a_moment(&ms);
    }
    log_warning("control group '%s' cannot be removed: %s", (const char *)g_ptr_array_index(folders, 0),
                g_strerror(errno));
    return FALSE;
}

/* --- without systemd ------------------------------------------------------------------------------------ */

static gboolean has_members(const Cgroup *group)
{
    g_autoptr(GPtrArray) folders = own_folders(group, NULL);

    for (guint i = 0; i < folders->len; i++) {
        g_autofree char *path = g_build_filename(g_ptr_array_index(folders, i), "cgroup.procs", NULL);
        g_autofree char *text = cgroup_file_read(path, NULL);

        if (text != NULL && *text != '\0')
            return TRUE;
    }
    return FALSE;
}

static void announce(const Cgroup *group, const CgroupMachine *machine)
{
    g_autofree char *record = cgroup_record(group);

    if (machine->announce != NULL)
        machine->announce(record, machine->opaque);
}

/* Somebody else's VM may have the same name and number: then the pid tells them apart. */
static void choose_path(Cgroup *group, const char *partition, const CgroupMachine *machine)
{
    char *name = cgroup_escape(group->root, g_strconcat(group->machine, SUFFIX, NULL));

    group->path = g_strdup_printf("%s/%s", partition, name);
    g_free(name);
    if (!has_members(group))
        return;
    g_free(group->path);
    group->path = g_strdup_printf("%s/%s-%d" SUFFIX, partition, group->machine, (int)machine->pid);
}

static gboolean make_by_hand(Cgroup *group, const CgroupMachine *machine, GError **error)
{
    const char *wanted = machine->partition != NULL ? machine->partition : DEFAULT_PARTITION;
    g_autofree char *partition = cgroup_partition_path(group->root, wanted);

    choose_path(group, partition, machine);
    announce(group, machine);
    /* The default one is ours to make; any other is the administrator's. */
    if (strcmp(wanted, DEFAULT_PARTITION) == 0 && !make_all(&group->layout, "", partition, error))
        return FALSE;
    return make_all(&group->layout, partition, group->path, error);
}

/* --- within systemd's scope ----------------------------------------------------------------------------- */

/* The path in the hierarchy that systemd has: v2, or its own of v1. Caller frees. */
static char *placement_of(const char *root, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/cgroup", root, (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    const char *found = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        char *names = strchr(*line, ':'), *place = names != NULL ? strchr(names + 1, ':') : NULL;

        if (place == NULL)
            continue;
        if (strncmp(names, ":name=systemd:", strlen(":name=systemd:")) == 0 ||
            (found == NULL && strncmp(names, "::", 2) == 0))
            found = place + 1;
    }
    return g_strdup(found);
}

static gboolean move_process(const Cgroup *group, const char *thread, pid_t pid, GError **error);

/* The scope is there and holds the process. Controllers that systemd has not used are made along its path; the group
 * within is ours. */
static gboolean make_in_scope(Cgroup *group, const CgroupMachine *machine, GError **error)
{
    g_autofree char *place = placement_of(group->root, machine->pid);
    g_autofree char *nested = NULL;

    if (place == NULL || place[0] != '/' || place[1] == '\0')
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "systemd has made '%s' but no control group for process %d",
                         group->unit, (int)machine->pid);
    group->path = g_steal_pointer(&place);
    for (char *end = strchr(group->path + 1, '/');; end = strchr(end + 1, '/')) {
        g_autofree char *below = end != NULL ? g_strndup(group->path, (gsize)(end - group->path)) : g_strdup(group->path);
        g_autofree char *above = g_path_get_dirname(below);

        for (int i = 0; i < CGROUP_LAST; i++) {
            if (group->layout.v1[i] != NULL &&
                !make_v1(&group->layout, i, strcmp(above, "/") == 0 ? "" : above, below, error))
                return FALSE;
        }
        if (end == NULL)
            break;
    }
    announce(group, machine);
    nested = g_strconcat(group->path, "/libvirt", NULL);
    if (group->layout.v2 != NULL && group->layout.v2_controllers != 0) {
        g_autofree char *path = g_strconcat(group->layout.v2, nested, NULL);
        gboolean fresh;

        /* First out of the scope: a group that hands out controllers has no process itself. */
        if (!make_folder(path, &fresh) && !is_forbidden(errno))
            return error_set_errno(error, errno, "Failed to create v2 cgroup '%s'", path);
        if (!move_process(group, NULL, machine->pid, error))
            return FALSE;
        group->inside = TRUE;
        for (int i = 0; i < CGROUP_LAST; i++)
            group->inside &= group->layout.v1[i] == NULL;
    }
    return make_all(&group->layout, group->path, nested, error);
}

/* --- making --------------------------------------------------------------------------------------------- */

static gboolean has_v1_threads(const Cgroup *group)
{
    gboolean any = FALSE;

    for (gsize i = 0; i < G_N_ELEMENTS(thread_controllers); i++)
        any |= group->layout.v1[thread_controllers[i]] != NULL;
    return any;
}

/* Whatever controllers it has. Caller frees. */
static char *v2_folder(const Cgroup *group, const char *thread)
{
    return g_strconcat(group->layout.v2, group->path, group->unit != NULL ? "/libvirt" : "", thread != NULL ? "/" : NULL,
                       thread, NULL);
}

gboolean cgroup_is_divided(const Cgroup *group)
{
    g_autofree char *folder = NULL;

    if (group == NULL || has_v1_threads(group) || group->layout.v2 == NULL)
        return group != NULL && has_v1_threads(group);
    folder = v2_folder(group, CGROUP_EMULATOR);
    return g_file_test(folder, G_FILE_TEST_IS_DIR);
}

static gboolean make(Cgroup *group, const CgroupMachine *machine, GError **error)
{
    if (systemd_is_running(machine->root) && !systemd_make_machine(group, machine, error))
        return FALSE;
    if (!(group->unit != NULL ? make_in_scope(group, machine, error) : make_by_hand(group, machine, error)))
        return FALSE;
    return !(machine->divided || has_v1_threads(group)) || cgroup_thread_make(group, CGROUP_EMULATOR, error);
}

gboolean cgroup_make(const CgroupMachine *machine, Cgroup **ret, GError **error)
{
    g_autoptr(Cgroup) group = group_new(machine->root, machine->controllers);
    g_autoptr(GError) failure = NULL;

    *ret = NULL;
    if (group == NULL)
        return TRUE;
    group->machine = cgroup_machine_name(machine->id, machine->name);
    if (make(group, machine, &failure)) {
        *ret = g_steal_pointer(&group);
        return TRUE;
    }
    if (group->path != NULL)
        cgroup_remove(group);
    if (error_is(failure, VIR_ERR_SYSTEM_ERROR) && is_forbidden(cgroup_file_errno())) {
        log_info("domain '%s' has no control group: %s", machine->name, failure->message);
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return FALSE;
}

/* --- processes and threads ------------------------------------------------------------------------------ */

static gboolean write_id(const char *folder, const char *name, pid_t id, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    char text[16];

    g_snprintf(text, sizeof(text), "%d", (int)id);
    return cgroup_file_write(path, text, error);
}

static gboolean move_process(const Cgroup *group, const char *thread, pid_t pid, GError **error)
{
    g_autoptr(GPtrArray) folders = own_folders(group, thread);

    for (guint i = 0; i < folders->len; i++) {
        const char *folder = g_ptr_array_index(folders, i);

        /* With a thread's name only those controllers that have such groups. */
        if (thread != NULL && !g_file_test(folder, G_FILE_TEST_IS_DIR)) {
            g_autofree char *above = g_path_get_dirname(folder);

            if (!write_id(above, "cgroup.procs", pid, error))
                return FALSE;
        } else if (!write_id(folder, "cgroup.procs", pid, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean cgroup_attach(Cgroup *group, pid_t pid, GError **error)
{
    if (cgroup_is_divided(group))
        return move_process(group, CGROUP_EMULATOR, pid, error);
    return group->inside || move_process(group, NULL, pid, error);
}

static gboolean make_threaded(Cgroup *group, const char *thread, GError **error)
{
    g_autofree char *parent = v2_folder(group, NULL);
    g_autofree char *path = v2_folder(group, thread);
    g_autofree char *type = g_build_filename(path, "cgroup.type", NULL);
    CgroupLayout handed = group->layout;
    gboolean fresh;

    if (!make_folder(path, &fresh))
        return error_set_errno(error, errno, "Failed to create v2 cgroup '%s'", path);
    if (!fresh)
        return TRUE;
    if (!cgroup_file_write(type, "threaded", error))
        return FALSE;
    handed.v2_controllers &= CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUSET);
    enable_v2(&handed, parent); /* those of the kernel's that know of threads */
    return TRUE;
}

gboolean cgroup_thread_make(Cgroup *group, const char *thread, GError **error)
{
    gboolean v2 = FALSE;

    for (gsize i = 0; i < G_N_ELEMENTS(thread_controllers); i++) {
        CgroupController controller = thread_controllers[i];
        g_autofree char *above = NULL;
        g_autofree char *below = NULL;

        if (!cgroup_has(group, controller))
            continue;
        if (cgroup_is_v2(group, controller)) {
            v2 = TRUE;
            continue;
        }
        above = g_strconcat(group->path, group->unit != NULL ? "/libvirt" : "", NULL);
        below = g_strconcat(above, "/", thread, NULL);
        if (!make_v1(&group->layout, controller, above, below, error))
            return FALSE;
    }
    return !v2 || make_threaded(group, thread, error);
}

void cgroup_thread_remove(Cgroup *group, const char *thread)
{
    for (gsize i = 0; group != NULL && i < G_N_ELEMENTS(thread_controllers); i++) {
        g_autofree char *folder = cgroup_folder(group, thread_controllers[i], thread, FALSE);
        guint ms = 1;

        for (guint tries = 0; folder != NULL && !remove_folder(folder, FALSE) && tries < 8; tries++)
            wait_a_moment(&ms);
    }
}

gboolean cgroup_thread_attach(Cgroup *group, const char *thread, pid_t tid, GError **error)
{
    g_autofree char *last = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(thread_controllers); i++) {
        g_autofree char *folder = cgroup_folder(group, thread_controllers[i], thread, FALSE);
        gboolean v2 = cgroup_is_v2(group, thread_controllers[i]);

        if (folder == NULL || g_strcmp0(folder, last) == 0)
            continue;
        if (!write_id(folder, v2 ? "cgroup.threads" : "tasks", tid, error))
            return FALSE;
        g_free(last);
        last = g_steal_pointer(&folder);
    }
    return TRUE;
}

/* --- record --------------------------------------------------------------------------------------------- */

char *cgroup_record(const Cgroup *group)
{
    return g_strdup_printf("machine=%s\npath=%s\nunit=%s\nmachined=%s\n", group->machine,
                           group->path != NULL ? group->path : "", group->unit != NULL ? group->unit : "",
                           group->machined ? "yes" : "no");
}

static char *record_value(const char *record, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(record, "\n", -1);
    gsize length = strlen(key);

    for (char **line = lines; *line != NULL; line++) {
        if (strncmp(*line, key, length) == 0 && (*line)[length] == '=' && (*line)[length + 1] != '\0')
            return g_strdup(*line + length + 1);
    }
    return NULL;
}

/* Whatever a damaged record says, nothing but a VM's group is touched. */
static gboolean path_is_sane(const Cgroup *group)
{
    return group->path != NULL && group->path[0] == '/' && strstr(group->path, "/../") == NULL &&
           (group->unit != NULL ? g_str_has_suffix(group->path, ".scope") : g_str_has_suffix(group->path, SUFFIX));
}

/* Whether a v2 group has got that controller from the one above. */
static gboolean handed_down(const char *folder, CgroupController controller)
{
    g_autofree char *path = g_build_filename(folder, "cgroup.controllers", NULL);
    g_autofree char *text = cgroup_file_read(path, NULL);
    g_auto(GStrv) words = text != NULL ? g_strsplit(text, " ", -1) : NULL;
    const char *name = cgroup_controller_name(controller, TRUE);

    return words != NULL && (name == NULL || g_strv_contains((const char *const *)words, name));
}

Cgroup *cgroup_open(const char *root, const char *record, guint controllers)
{
    g_autoptr(Cgroup) group = group_new(root, controllers);
    g_autofree char *machined = record_value(record, "machined");
    guint found = 0;

    if (group == NULL)
        return NULL;
    group->machine = record_value(record, "machine");
    group->path = record_value(record, "path");
    group->unit = record_value(record, "unit");
    group->machined = g_strcmp0(machined, "yes") == 0;
    if (group->machine == NULL || !path_is_sane(group))
        return NULL;
    for (int i = 0; i < CGROUP_LAST; i++) {
        g_autofree char *folder = cgroup_folder(group, i, NULL, FALSE);

        if (folder == NULL)
            continue;
        if (cgroup_is_v2(group, i) ? handed_down(folder, i) : g_file_test(folder, G_FILE_TEST_IS_DIR)) {
            found++;
        } else {
            g_clear_pointer(&group->layout.v1[i], g_free);
            group->layout.v2_controllers &= ~CGROUP_BIT(i);
        }
    }
    return found > 0 ? g_steal_pointer(&group) : NULL;
}

gboolean cgroup_holds(const Cgroup *group, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/cgroup", group->root, (int)pid);
    g_autofree char *place = g_strconcat(":", group->path, NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, place) != NULL;
}
