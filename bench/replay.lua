-- wrk's side of the benchmark: replays a file of requests, one "METHOD PATH BODY" per line, from line `start` on, round
-- and round. It knows nothing of incidents; scenario.py does. The last line that it prints is the result as JSON.
local threads, requests, start = {}, {}, 0
sent = 0 -- global: done() runs in another Lua state and asks for it by name

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  start = tonumber(args[2])
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    table.insert(requests, wrk.format(method, path, nil, body ~= "" and body or nil))
  end
end

function request()
  sent = sent + 1
  return requests[(start + sent - 1) % #requests + 1]
end

function done(summary, latency)
  local asked = 0
  for _, thread in ipairs(threads) do asked = asked + (thread:get("sent")) end
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "sent": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failures": '
      .. '{"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}}',
    summary.requests, asked, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
