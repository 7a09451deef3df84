-- Sends the requests of a file (benchmarks/load.py says how it is written) and counts answers that are not as wanted.

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long seconds; long nanoseconds; } instant;
  int clock_gettime(int clock, instant *now);
]]

local threads = {}

local function microseconds()
  local now = ffi.new("instant")
  ffi.C.clock_gettime(1, now)
  return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  mode, wanted = args[2], tonumber(args[3])
  requests, position, unexpected, took = {}, 0, 0, 0
  for line in function() return file:read("*l") end do
    table.insert(requests, file:read(tonumber(line)))
  end
  file:close()
  if mode == "chain" then
    template, waiting = requests[1], requests
    local head, body = template:match("^(.-\r\n\r\n)(.*)$")
    local empty = #body - #"@TOKEN@"
    chained = function(token)
      local sized = head:gsub("@LENGTH@", tostring(empty + #token))
      return sized .. body:gsub("@TOKEN@", function() return token end)
    end
    table.remove(waiting, 1)
  end
end

function request()
  if mode == "chain" then
    -- Whoever lost its token sends an old one again; the refusal is counted.
    last = table.remove(waiting, 1) or last
    return chained(last)
  end
  position = position + 1
  if mode == "once" then
    began = began or microseconds()
    if position > #requests and took == 0 then
      -- wrk itself sleeps to the end of its time, so the length of this round is measured here.
      took = microseconds() - began
      wrk.thread:stop()
    end
  end
  if position > #requests then position = 1 end
  return requests[position]
end

function response(status, headers, body)
  if status ~= wanted then
    unexpected = unexpected + 1
  elseif mode == "chain" then
    table.insert(waiting, body:match('"refresh_token"%s*:%s*"([^"]+)"'))
  end
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local duration = summary.duration
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("unexpected")
    if thread:get("took") > 0 then duration = thread:get("took") end
  end
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
    summary.requests, duration, latency:percentile(50), latency:percentile(99), failed))
end
