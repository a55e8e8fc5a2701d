/* Force-included into libevent's event.c, and nowhere else: puts our backend into its table of backends, before select
 * and once more behind it. Plain C.
 *
 * libevent's table has room for Solaris event ports, then select, then win32 and, from 2.2 on, wepoll; the first two
 * are not used on Windows. */
#ifndef LIBEVENT_IOCP_COMPAT_EVENT_SLOT_H
#define LIBEVENT_IOCP_COMPAT_EVENT_SLOT_H

#include "event2/event-config.h"

#include "evconfig-private.h"

#include "compat/versions.h"

#include "event2/util.h"

#undef EVENT__HAVE_EVENT_PORTS
#undef EVENT__HAVE_SELECT
#define EVENT__HAVE_EVENT_PORTS 1
#define EVENT__HAVE_SELECT 1
#define evportops iocpops
#define selectops iocp_stock_select_ops
#define win32ops IOCP_WIN32_BACKEND
#define wepollops iocp_last_resort_ops

/* The callback of event_base_loopexit is ours (backend/loop_end.cpp). Only where libevent defines it does an argument
 * list follow its name, and so that definition is put aside and everybody else uses ours. */
void event_loopexit_cb(evutil_socket_t, short, void *);
#define event_loopexit_cb(fd, what, base) iocp_stock_event_loopexit_cb(fd, what, base)

/* An event is added to a descriptor: a listener's socket may have to be shared from then on, and so may a bufferevent's
 * (listener.cpp). */
#define evmap_io_add_ iocp_evmap_io_add

#endif
