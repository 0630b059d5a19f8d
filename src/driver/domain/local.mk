# libkitedomain: live domains, their lists, state, persistence, events and RPC handlers.
EXTRA_DIST += %D%/domain.h %D%/domain_list.h %D%/events.h
