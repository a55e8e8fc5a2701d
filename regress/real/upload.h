// Uploads of any size in constant memory, on plain bufferevents. (evhttp keeps a request's whole body.)
#ifndef LIBEVENT_IOCP_REGRESS_REAL_UPLOAD_H
#define LIBEVENT_IOCP_REGRESS_REAL_UPLOAD_H

struct event_base;
struct ssl_ctx_st;

namespace upload {

// Listens on 127.0.0.1 and returns the port, or 0; over TLS if there is a context. Speaks just enough HTTP for curl:
//   PUT /sum   answers "<crc32 in hex> <number of bytes>\n"
//   PUT /echo  sends the body back while it comes
int listen(event_base *base, ssl_ctx_st *context);
// Frees the listener and every connection.
void close_all();

} // namespace upload

#endif
