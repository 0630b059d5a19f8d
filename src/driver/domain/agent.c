/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When there is a guest agent to talk to: its client lives as long as the guest holds its channel open. */
#include "driver/backend/agent_client.h"

#include <string.h>

#include "driver/conf/def_chr.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_private.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"

static const ChrDef *agent_channel(const DomainDef *def)
{
    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    {
        if (channel->target.channel == CHANNEL_TARGET_VIRTIO && g_strcmp0(channel->name, AGENT_CHANNEL) == 0)
            return channel;
    }
    return NULL;
}

void domain_agent_drop(Domain *dom)
{
    lock_assert_held(&dom->lock);
    if (dom->agent == NULL)
        return;
    agent_client_close(dom->agent);
    g_clear_pointer(&dom->agent, agent_client_unref);
}

void domain_agent_update(Domain *dom, int reason)
{
    const ChrDef *channel;
    gboolean open;

    lock_assert_held(&dom->lock);
    channel = dom->live != NULL ? agent_channel(dom->live) : NULL;
    open = channel != NULL && channel->state == CHANNEL_STATE_CONNECTED && channel->source.path != NULL;
    if (open == (dom->agent != NULL)) {
        /* A start says how it stands in any case. */
        if (open || channel == NULL || channel->state == CHANNEL_STATE_DEFAULT ||
            reason != VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED)
            return;
    } else if (open) {
        dom->agent = agent_client_new(channel->source.path);
        agent_client_set_timeout(dom->agent, dom->agent_timeout);
    } else {
        domain_agent_drop(dom);
    }
    domain_event_agent_lifecycle(dom,
                                 open ? VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
                                      : VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED,
                                 reason);
}

AgentClient *domain_agent(Domain *dom, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (!domain_require_active(dom, error))
        return NULL;
    if (dom->state != VIR_DOMAIN_RUNNING) {
        error_set(error, VIR_ERR_OPERATION_INVALID, "domain is not running");
        return NULL;
    }
    if (dom->agent == NULL) {
        if (dom->live == NULL || agent_channel(dom->live) == NULL)
            error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured");
        else
            error_set(error, VIR_ERR_AGENT_UNRESPONSIVE, "QEMU guest agent is not connected");
        return NULL;
    }
    return agent_client_ref(dom->agent);
}
