// Rows without sockets: wake-ups from another thread, and making and unmaking a port.
#include "tools/benchmarks/common/waker.h"
#include "tools/benchmarks/floor/port.h"

namespace bench {

namespace {

class woken_port final : public wakeable {
public:
    woken_port();
    void wake() override;
    void run_loop() override { completions.run(); }
    void stop_loop() override { completions.stop(); }

private:
    port completions;
    operation waking = {};
};

void wake_ended(operation *ended, DWORD)
{
    static_cast<woken_port *>(ended->context)->woken();
}

woken_port::woken_port()
{
    waking.ended = wake_ended;
    waking.context = this;
}

void woken_port::wake()
{
    if (!PostQueuedCompletionStatus(completions.native(), 0, 0, &waking.overlapped))
        fail("PostQueuedCompletionStatus", static_cast<int>(GetLastError()));
}

class startup final : public work {
public:
    void run(long units) override;
};

// There is nothing to wait for, so a turn of its loop does nothing.
void startup::run(long units)
{
    for (long i = 0; i < units; ++i) {
        port made;
        CloseHandle(made.native());
    }
}

} // namespace

work *set_up_wakeup(const scenario &)
{
    return new wakeup(new woken_port, new woken_port);
}

work *set_up_startup(const scenario &)
{
    return new startup;
}

} // namespace bench
