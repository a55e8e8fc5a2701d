// Uploads of any size in constant memory, on plain bufferevents. (evhttp keeps a request's whole body.)
#ifndef LIBEVENT_IOCP_REGRESS_REAL_UPLOAD_H
#define LIBEVENT_IOCP_REGRESS_REAL_UPLOAD_H

struct event_base;

namespace upload {

// Listens on 127.0.0.1 and returns the port, or 0. Speaks just enough HTTP for curl:
//   PUT /sum   answers "<crc32 in hex> <number of bytes>\n"
//   PUT /echo  sends the body back while it comes
int listen(event_base *base);
// Frees the listener and every connection.
void close_all();

} // namespace upload

#endif
