-- What every script has: the keys of its process, the clock, and records of lines.
-- KEYS[1] is the hash of the process; the other keys are named after it and lie in the same slot. ARGV[1] is the time in
-- microseconds, or empty for the server's own. Instants stay below 2^53, so that a Lua number holds them exactly.
local call = redis.call
local P = string.sub(KEYS[1], 1, -2)
local PROCESS, WORKS, STATUSES, RUNS = KEYS[1], P .. 'w', P .. 's', P .. 'runs'
local LISTS = {a = P .. 'active', c = P .. 'cleanup', d = P .. 'dropped'}
local DROPPED_AT, UNTOLD = P .. 'dropped_at', P .. 'untold'
local UUIDS, SLOT_RUNS, SLOTS, LEDGER = P .. 'uuids', P .. 'slot_runs', P .. 'slots', P .. 'ledger'
local VERSIONS = P .. 'versions'

local function run_key(epoch) return P .. 'r:' .. epoch end
local function items_key(epoch) return P .. 'i:' .. epoch end
local function pages_key(epoch) return P .. 'g:' .. epoch end
local function open_key(epoch) return P .. 'o:' .. epoch end

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- `rules.passed`, in microseconds.
local function passed(at, now, span) return now - at >= span or at - now > span end

local function whole(number) return string.format('%.0f', number) end

local function split(record)
  local parts, count = {}, 0
  for part in string.gmatch(record .. '\n', '([^\n]*)\n') do
    count = count + 1
    parts[count] = part
  end
  return parts
end

local function join(parts) return table.concat(parts, '\n') end

local function given(from)
  local rest = {}
  for place = from, #ARGV do rest[#rest + 1] = ARGV[place] end
  return rest
end

local function many(command, key, names)
  if #names == 0 then return {} end
  return call(command, key, unpack(names))
end

-- A key of another type fails here, before the first write: what a script wrote before an error stays written.
local function hashes(...)
  for _, key in ipairs({...}) do call('HLEN', key) end
end

local function sets(...)
  for _, key in ipairs({...}) do call('ZCARD', key) end
end
