// Messages to and fro over named pipes, as in pingpong.cpp over sockets.
#include "tools/benchmarks/floor/port.h"

#include <vector>

namespace bench {

namespace {

class pipes;

struct pipe_end {
    operation reading; // first
    operation writing;
    task queued;
    HANDLE file;
    bool is_client;
    struct pipe_connection *owner;
    std::vector<char> buffer;
};

struct pipe_connection {
    pipes *owner;
    pipe_end client;
    pipe_end server;
    message_check check;
    long left;
};

class pipes final : public work {
public:
    explicit pipes(const scenario &);
    void run(long units) override;
    void send(pipe_connection *to);
    void received(pipe_end *at, DWORD bytes);
    void finished();
    void receive(pipe_end *on) { completions.start_soon(&on->queued); }

private:
    void prepare(pipe_end *end, HANDLE file, bool is_client, pipe_connection *owner);

    scenario what;
    port completions;
    std::vector<pipe_connection> connections;
    int busy = 0;
};

void read_ended(operation *ended, DWORD bytes)
{
    auto *end = static_cast<pipe_end *>(ended->context);
    end->owner->owner->received(end, bytes);
}

// An echo's buffer is free again.
void write_ended(operation *ended, DWORD)
{
    auto *end = static_cast<pipe_end *>(ended->context);
    if (!end->is_client)
        end->owner->owner->receive(end);
}

void start_read(task *queued)
{
    auto *end = static_cast<pipe_end *>(queued->context);
    DWORD bytes = 0;
    end->reading.overlapped = {};
    if (ReadFile(end->file, end->buffer.data(), static_cast<DWORD>(end->buffer.size()), &bytes,
                 &end->reading.overlapped))
        read_ended(&end->reading, bytes);
    else if (GetLastError() != ERROR_IO_PENDING)
        fail("ReadFile", static_cast<int>(GetLastError()));
}

void write_bytes(pipe_end *end, const char *data, DWORD length)
{
    DWORD bytes = 0;
    end->writing.overlapped = {};
    if (WriteFile(end->file, data, length, &bytes, &end->writing.overlapped))
        write_ended(&end->writing, bytes);
    else if (GetLastError() != ERROR_IO_PENDING)
        fail("WriteFile", static_cast<int>(GetLastError()));
}

void pipes::prepare(pipe_end *end, HANDLE file, bool is_client, pipe_connection *owner)
{
    completions.add_file(file);
    end->file = file;
    end->is_client = is_client;
    end->owner = owner;
    end->buffer.resize(what.size);
    end->reading.ended = read_ended;
    end->writing.ended = write_ended;
    end->queued.start = start_read;
    end->reading.context = end->writing.context = end->queued.context = end;
    receive(end);
}

pipes::pipes(const scenario &scenario) : what(scenario)
{
    connections.resize(static_cast<size_t>(what.connections));
    for (pipe_connection &made : connections) {
        pipe_pair pair;
        connect_pipe(&pair);
        made.owner = this;
        prepare(&made.client, pair.client, true, &made);
        prepare(&made.server, pair.server, false, &made);
    }
}

void pipes::send(pipe_connection *to)
{
    write_bytes(&to->client, message_bytes(), static_cast<DWORD>(what.size));
}

void pipes::received(pipe_end *at, DWORD bytes)
{
    if (bytes == 0)
        fail("a pipe has ended", 0);
    if (!at->is_client) {
        write_bytes(at, at->buffer.data(), bytes);
        return;
    }
    pipe_connection *self = at->owner;
    if (self->check.take(at->buffer.data(), bytes) != 0) {
        if (--self->left > 0)
            send(self);
        else
            finished();
    }
    receive(at);
}

void pipes::finished()
{
    if (--busy == 0)
        completions.stop();
}

void pipes::run(long units)
{
    for (int i = 0; i < what.active; ++i) {
        pipe_connection &starting = connections[static_cast<size_t>(i)];
        starting.left = share_of(units, what.active, i);
        if (starting.left == 0)
            continue;
        ++busy;
        send(&starting);
    }
    completions.run();
}

} // namespace

work *set_up_pipes(const scenario &what)
{
    return new pipes(what);
}

} // namespace bench
