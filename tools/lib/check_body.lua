-- For wrk: compares every answer with the file that EXPECTED_BODY names. With PIPELINE set to a
-- number, so many requests are sent at a time.
local expected = assert(io.open(os.getenv("EXPECTED_BODY"), "rb")):read("*a")
local threads = {}
compared, wrong = 0, 0

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
    compared = compared + 1
    if body ~= expected then
        wrong = wrong + 1
    end
end

function done()
    local all, bad = 0, 0
    for _, thread in ipairs(threads) do
        all = all + thread:get("compared")
        bad = bad + thread:get("wrong")
    end
    print("Bodies: " .. all .. " compared, " .. bad .. " wrong")
end
