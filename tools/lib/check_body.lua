-- For wrk: compares every answer with the file that EXPECTED_BODY names. With PIPELINE set to a
-- number, so many requests are sent at a time.
local expected = assert(io.open(os.getenv("EXPECTED_BODY"), "rb")):read("*a")
local threads = {}
wrong = 0

function setup(thread)
    threads[#threads + 1] = thread
end

if os.getenv("PIPELINE") then
    local requests

    function init()
        requests = string.rep(wrk.format(), tonumber(os.getenv("PIPELINE")))
    end

    function request()
        return requests
    end
end

function response(status, headers, body)
    if body ~= expected then
        wrong = wrong + 1
    end
end

function done()
    local total = 0
    for _, thread in ipairs(threads) do
        total = total + thread:get("wrong")
    end
    print("Wrong bodies: " .. total)
end
