/* Force-included into libevent's event.c, and nowhere else: puts our backend into its table of backends, before select
 * and once more behind it. Plain C.
 *
 * libevent's table has room for Solaris event ports, then select, then win32 and, from 2.2 on, wepoll; the first two are
 * not used on Windows. */
#ifndef LIBEVENT_IOCP_COMPAT_EVENT_SLOT_H
#define LIBEVENT_IOCP_COMPAT_EVENT_SLOT_H

#include "event2/event-config.h"

#include "evconfig-private.h"

#include "compat/versions.h"

#undef EVENT__HAVE_EVENT_PORTS
#undef EVENT__HAVE_SELECT
#define EVENT__HAVE_EVENT_PORTS 1
#define EVENT__HAVE_SELECT 1
#define evportops iocpops
#define selectops iocp_stock_select_ops
#define win32ops IOCP_WIN32_BACKEND
#define wepollops iocp_last_resort_ops

#endif
