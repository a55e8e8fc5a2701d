/* The public header is plain C, and needs no other before it. */
#include "event2/iocp.h"

int set_from_c(struct evconnlistener *listener, unsigned bytes);

int set_from_c(struct evconnlistener *listener, unsigned bytes)
{
    return evconnlistener_iocp_set_first_data(listener, bytes, NULL);
}
