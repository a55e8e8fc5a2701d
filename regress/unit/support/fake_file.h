// The fake kernel's files that carry bytes: the library's end of a pipe, or a serial port; the other end is the test's.
// They keep to what Windows does there and nowhere else:
//
//   - a read of no bytes waits on a pipe of bytes; of messages, and on a device, it ends at once;
//   - a read that leaves a part of a message fails in its call (ERROR_MORE_DATA), and yet a packet comes;
//   - a read may bring nothing and be no end: an empty message, a time-out;
//   - a device's reads end at once with nothing, until its time-outs are set;
//   - a write that is cancelled says that it has moved nothing, though as much as there was room for is on its way.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_FILE_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_FAKE_FILE_H

#include "support/fake_sys.h"

namespace iocp {
namespace fake {

// `refused`: with which error sys::file_transport does. `at`: its number, which must be free; NULL: a new one.
HANDLE open_file(sys::transport by, int refused = 0, HANDLE at = nullptr);
bool file_is_open(HANDLE file);
bool file_is_on_port(HANDLE file);
// It leaves no packet of what is done at once. And who waits for the handle itself is not told of an end.
bool file_skips_packets(HANDLE file);
bool file_signals_no_end(HANDLE file);
void close_file_by_program(HANDLE file);

// One message, if it carries those.
void file_peer_writes(HANDLE file, const std::string &bytes);
void file_peer_closes(HANDLE file);
// Takes all that was written, also after the file was closed. All that it has ever taken is returned.
const std::string &file_peer_reads(HANDLE file);
// While more than that has not been read, writes wait.
void set_file_room(HANDLE file, size_t bytes);
// Somebody else has a handle to the same end.
void another_reader_takes_all(HANDLE file);
// Its driver does not take time-outs.
void refuse_time_outs(HANDLE file);

} // namespace fake
} // namespace iocp

#endif
