-- wrk's side of the benchmark: replays a file of requests, one "METHOD PATH BODY" per line, from line `start` on, round
-- and round; with a third argument each request has an Idempotency-Key of its own that begins with it. It knows nothing
-- of incidents; scenario.py does. The last line that it prints is the result as JSON.
local threads, requests, start, key = {}, {}, 0, nil
sent = 0 -- global: done() runs in another Lua state and asks for it by name

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  start, key = tonumber(args[2]), args[3]
  if key then wrk.headers["idempotency-key"] = key .. "-0000000000" end
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local whole = wrk.format(method, path, nil, body ~= "" and body or nil)
    if key then
      -- Cut at the number, which is put in again for each request: formatting the whole would slow the load down.
      local _, last = whole:find(key .. "-", 1, true)
      table.insert(requests, { whole:sub(1, last), whole:sub(last + 11) })
    else
      table.insert(requests, whole)
    end
  end
end

function request()
  sent = sent + 1
  local next = requests[(start + sent - 1) % #requests + 1]
  return key and next[1] .. string.format("%010d", sent) .. next[2] or next
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
