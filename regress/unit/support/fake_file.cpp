// The fake kernel's files: pipes and serial ports.
#include "support/fake_file.h"

#include "support/fake_kernel.h"
#include "support/guard.h"

#include <string.h>

namespace iocp {
namespace fake {

namespace {

constexpr nt_status status_pipe_broken = static_cast<nt_status>(0xC000014B);
constexpr nt_status status_pipe_closing = static_cast<nt_status>(0xC00000B1);
constexpr nt_status status_buffer_overflow = static_cast<nt_status>(0x80000005);
constexpr int scribble = 0xEE;

struct byte_file {
    sys::transport by;
    int refused;
    std::deque<std::string> inbox; // as it was written
    bool peer_gone;
    std::string on_its_way; // to the peer
    std::string read_by_peer;
    size_t room;
    bool waits_for_first_bytes;
    bool refuses_time_outs;
};

// Those that were closed, too: their peers may still read.
std::map<HANDLE, byte_file> files;

byte_file *find_file(HANDLE file)
{
    auto found = files.find(file);
    return found != files.end() ? &found->second : nullptr;
}

std::string bytes_of(const operation &writing)
{
    std::string all;
    for (const WSABUF &buffer : writing.buffers)
        all.append(buffer.buf, buffer.len);
    return all;
}

// A pipe of bytes, or a device, has no borders between writes; but what was nothing ends a read.
std::string take_bytes(byte_file *from, size_t room)
{
    std::string taken;
    if (from->inbox.front().empty()) {
        from->inbox.pop_front();
        return taken;
    }
    bool stops_short = happens(k().odds.short_transfer);
    while (!from->inbox.empty() && !from->inbox.front().empty() && taken.size() < room) {
        std::string &front = from->inbox.front();
        size_t length = front.size() < room - taken.size() ? front.size() : room - taken.size();
        taken += front.substr(0, length);
        front.erase(0, length);
        if (front.empty())
            from->inbox.pop_front();
        if (stops_short)
            break;
    }
    return taken;
}

nt_status take_message(byte_file *from, size_t room, std::string *taken)
{
    std::string &front = from->inbox.front();
    *taken = front.substr(0, room);
    front.erase(0, taken->size());
    if (!front.empty())
        return status_buffer_overflow;
    from->inbox.pop_front();
    return status_success;
}

bool try_read(operation *reading, byte_file *from, nt_status *status)
{
    size_t room = capacity(reading->buffers);
    bool waits_without_buffer = from->by == sys::transport::pipe;
    if (room == 0 && (!waits_without_buffer || !from->inbox.empty()))
        return true;
    if (from->inbox.empty()) {
        if (from->peer_gone)
            *status = status_pipe_broken;
        return from->peer_gone || (from->by == sys::transport::device && !from->waits_for_first_bytes);
    }
    if (from->by == sys::transport::messages)
        *status = take_message(from, room, &reading->received);
    else
        reading->received = take_bytes(from, room);
    return true;
}

bool try_write(operation *writing, byte_file *to, nt_status *status, DWORD *bytes)
{
    if (to->peer_gone) {
        *status = status_pipe_closing;
        return true;
    }
    size_t length = capacity(writing->buffers);
    if (to->on_its_way.size() + length > to->room)
        return false;
    if (!memory_is_live(*writing)) {
        complain("a write from memory that was freed");
        return false;
    }
    to->on_its_way += bytes_of(*writing);
    *bytes = static_cast<DWORD>(length);
    return true;
}

// It ends in another way than it would have.
void change_end(operation *ending, byte_file *on, nt_status *status, DWORD *bytes)
{
    nt_status usual = *status;
    *status = status_after_all(usual);
    if (*status == usual)
        return;
    if (ending->what == work::send)
        on->on_its_way.resize(on->on_its_way.size() - *bytes);
    ending->received.clear();
    *bytes = 0;
}

bool try_file_operation(operation *waiting, nt_status *status, DWORD *bytes)
{
    byte_file *on = find_file(waiting->file);
    bool ends = waiting->what == work::receive ? try_read(waiting, on, status) : try_write(waiting, on, status, bytes);
    if (waiting->what == work::receive)
        *bytes = static_cast<DWORD>(waiting->received.size());
    if (ends)
        change_end(waiting, on, status, bytes);
    return ends;
}

bool is_behind_another(const operation &begun)
{
    for (const auto &entry : k().operations)
        if (entry.second.file == begun.file && entry.second.what == begun.what && !entry.second.ended &&
            !entry.second.held && entry.second.serial < begun.serial)
            return true;
    return false;
}

// Those in flight on it that can end now, oldest first.
void go_on_with_file(HANDLE file)
{
    std::map<uint64_t, operation *> waiting;
    for (auto &entry : k().operations)
        if (entry.second.file == file && !entry.second.ended && !entry.second.held)
            waiting[entry.second.serial] = &entry.second;
    bool blocked[2] = {false, false}; // by an older one
    for (const auto &entry : waiting) {
        nt_status status = status_success;
        DWORD bytes = 0;
        bool &behind = blocked[entry.second->what == work::send ? 1 : 0];
        behind = behind || !try_file_operation(entry.second, &status, &bytes);
        if (!behind)
            end_operation(entry.second, status, bytes, 0);
    }
}

int check_file_start(call which, HANDLE file, const WSABUF &buffer)
{
    int error = enter(which);
    if (error == 0 && happens(k().odds.shortage))
        error = WSAENOBUFS;
    if (error == 0 && (find_file(file) == nullptr || k().files.count(file) == 0))
        error = ERROR_INVALID_HANDLE;
    if (buffer.len != 0 && !guard::is_live(buffer.buf, buffer.len))
        complain("an operation on a file, with memory that is not allocated");
    return error;
}

sys::start_result start_on_file(work what, HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips)
{
    operation *begun = begin_operation(what, file, k().files.at(file).to, INVALID_SOCKET, overlapped);
    begun->buffers.assign(1, *buffer);
    if (what == work::receive && buffer->len != 0)
        memset(buffer->buf, scribble, buffer->len);
    nt_status status = status_success;
    DWORD bytes = 0;
    if (is_behind_another(*begun) || !try_file_operation(begun, &status, &bytes))
        return {sys::started::pending, 0, 0};
    if (status == status_success)
        return finish_start(begun, status, bytes, 0, skips);
    if (status == status_buffer_overflow || !happens(k().odds.fails_in_call)) {
        end_operation(begun, status, bytes, 0);
        return {sys::started::pending, 0, 0};
    }
    int error = sys::file_error(status);
    end_in_call(begun, status, bytes, 0);
    return {sys::started::failed, error, 0};
}

} // namespace

void start_files()
{
    files.clear();
}

HANDLE open_file(sys::transport by, int refused, HANDLE at)
{
    HANDLE opened = at != nullptr ? at : new_handle();
    k().files[opened] = {};
    files[opened] = {by, refused, {}, false, "", "", SIZE_MAX, false, false};
    return opened;
}

bool file_is_open(HANDLE file)
{
    return k().files.count(file) != 0;
}

bool file_is_on_port(HANDLE file)
{
    return file_is_open(file) && k().files.at(file).to.port != nullptr;
}

bool file_skips_packets(HANDLE file)
{
    return k().files.at(file).to.skips;
}

bool file_signals_no_end(HANDLE file)
{
    return k().files.at(file).signals_no_end;
}

// Whatever is in flight on it is cancelled by that.
void close_file_by_program(HANDLE file)
{
    std::vector<operation *> ending;
    for (auto &entry : k().operations)
        if (entry.second.file == file && !entry.second.ended)
            ending.push_back(&entry.second);
    for (operation *cancelled : ending) {
        spoil_file_operation(*cancelled);
        end_operation(cancelled, status_cancelled, 0, 0);
    }
    k().files.erase(file);
}

void file_peer_writes(HANDLE file, const std::string &bytes)
{
    files.at(file).inbox.push_back(bytes);
    go_on_with_file(file);
}

void file_peer_closes(HANDLE file)
{
    files.at(file).peer_gone = true;
    go_on_with_file(file);
}

void another_reader_takes_all(HANDLE file)
{
    files.at(file).inbox.clear();
}

const std::string &file_peer_reads(HANDLE file)
{
    byte_file *read = &files.at(file);
    size_t room = read->room;
    read->room = SIZE_MAX;
    go_on_with_file(file);
    read->room = room;
    read->read_by_peer += read->on_its_way;
    read->on_its_way.clear();
    return read->read_by_peer;
}

void set_file_room(HANDLE file, size_t bytes)
{
    files.at(file).room = bytes;
    go_on_with_file(file);
}

void refuse_time_outs(HANDLE file)
{
    files.at(file).refuses_time_outs = true;
}

void spoil_file_operation(const operation &cancelled)
{
    byte_file *to = find_file(cancelled.file);
    if (to == nullptr || cancelled.what != work::send)
        return;
    size_t room = to->room > to->on_its_way.size() ? to->room - to->on_its_way.size() : 0;
    to->on_its_way += bytes_of(cancelled).substr(0, room);
}

bool bring_about_file(operation *cancelled)
{
    byte_file *on = find_file(cancelled->file);
    if (on == nullptr)
        return false;
    size_t room = on->room;
    on->room = SIZE_MAX;
    nt_status status = status_success;
    DWORD bytes = 0;
    bool ends = try_file_operation(cancelled, &status, &bytes);
    on->room = room;
    if (ends)
        end_operation(cancelled, status, bytes, 0);
    return ends;
}

} // namespace fake

namespace sys {

using namespace fake;

int file_transport(HANDLE file, transport *by)
{
    int error = enter(call::file_transport);
    if (error != 0)
        return error;
    const byte_file *found = find_file(file);
    if (found == nullptr || !file_is_open(file))
        return ERROR_INVALID_HANDLE;
    *by = found->by;
    return found->refused;
}

void file_wait_for_first_bytes(HANDLE device)
{
    byte_file *found = find_file(device);
    found->waits_for_first_bytes = !found->refuses_time_outs;
}

start_result file_receive(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips)
{
    int error = check_file_start(call::file_receive, file, *buffer);
    if (error != 0)
        return {started::failed, error, 0};
    return start_on_file(work::receive, file, buffer, overlapped, skips);
}

start_result file_send(HANDLE file, const WSABUF *buffer, OVERLAPPED *overlapped, bool skips)
{
    int error = check_file_start(call::file_send, file, *buffer);
    if (error != 0)
        return {started::failed, error, 0};
    return start_on_file(work::send, file, buffer, overlapped, skips);
}

int file_close(HANDLE file)
{
    if (!file_is_open(file))
        return ERROR_INVALID_HANDLE;
    close_handle(file);
    return 0;
}

int view_read(const void *view, void *into, size_t length)
{
    int error = enter(call::view_read);
    if (error == 0)
        memcpy(into, view, length);
    return error;
}

} // namespace sys
} // namespace iocp
