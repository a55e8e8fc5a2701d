// What traffic_server answers, in evhttp:
//   GET /             a short answer
//   GET /file         the file
//   GET /chunked      the file in chunks of many sizes, each sent when the one before it has left
//   GET /large        8 MiB from memory
//   PUT, POST /sum    "<crc32 in hex> <number of bytes>" of the body, which evhttp keeps whole
//   GET /status       "<name> <value>" lines: live blocks and bytes, handles, private memory, TLS handshakes
//   GET /renegotiate  a short answer, after a new handshake has been asked for
//   GET /forget       a short answer; TLS sessions that were kept are dropped
//   GET /quit         ends the server, whatever else is going on
#ifndef LIBEVENT_IOCP_REGRESS_REAL_ROUTES_H
#define LIBEVENT_IOCP_REGRESS_REAL_ROUTES_H

struct event_base;
struct evhttp;
struct ssl_ctx_st;

namespace routes {

// The file's name and the TLS context may be null. With `log` each short answer is told on standard output.
void add(evhttp *http, event_base *base, const char *file, ssl_ctx_st *context, bool log);
// How many times evbuffer_add_file has been used.
long files_sent();

} // namespace routes

#endif
