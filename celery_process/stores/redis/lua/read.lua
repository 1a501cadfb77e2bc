#!lua flags=no-writes
-- include: basics showing
-- Answer reads of the rows of a process, all of one moment. ARGV: time, then the reads, each as its number of words and its
-- words: one of those below with its arguments, or a command and the end of a key of the process. Returns the time, the
-- version of the process, and the answers.
local reads = {}

-- The hash of a run, how many pages are open, and with `live` how many of their items are alike.
function reads.run(epoch, live)
  local shown = show(epoch, live ~= 'live')
  return shown and {shown[1], call('ZCARD', open_key(epoch)), live == 'live' and shown[2]}
end

-- The open pages of a run: number, record and items of each.
function reads.pages(epoch)
  local pages = call('ZRANGE', open_key(epoch), 0, -1)
  for place, page in ipairs(pages) do
    local record = call('HGET', pages_key(epoch), 'p' .. page)
    pages[place] = {page, record, many('HMGET', items_key(epoch), (names_of(record)))}
  end
  return pages
end

-- Runs with an epoch in a range of scores, newest first.
function reads.runs(below, limit, live)
  local found = call('ZREVRANGEBYSCORE', RUNS, below, '-inf', 'LIMIT', 0, limit)
  for place, epoch in ipairs(found) do found[place] = reads.run(epoch, live) end
  return found
end

-- The hash of the process, how many versions its history has, and its newest run.
function reads.process(live)
  local epoch = call('HGET', PROCESS, 'epoch')
  return {call('HGETALL', PROCESS), call('ZCARD', VERSIONS), epoch and reads.run(epoch, live)}
end

-- Entries of the ledger before a slot, newest first.
function reads.entries(before, limit)
  local slots = call('ZREVRANGEBYLEX', SLOTS, before, '-', 'LIMIT', 0, limit)
  return {slots, many('HMGET', LEDGER, slots)}
end

function reads.oldest(limit)
  local slots = call('ZRANGE', SLOTS, 0, limit - 1)
  return {slots, many('HMGET', LEDGER, slots)}
end

-- Registrations with their statuses, the newest run, and what it has of them: those of a list after a name, or with no list
-- the one of that name.
function reads.works(list, name, limit)
  local names = {name}
  if list ~= '' then names = call('ZRANGEBYLEX', LISTS[list], '(' .. name, '+', 'LIMIT', 0, limit) end
  local epoch = call('HGET', PROCESS, 'run')
  return {names, many('HMGET', WORKS, names), many('HMGET', STATUSES, names), epoch and reads.run(epoch),
    epoch and many('HMGET', items_key(epoch), names)}
end

-- Registrations that were dropped until then, or are not among those dropped last.
function reads.dropped(kept, since, limit)
  local over = math.max(call('ZCARD', DROPPED_AT) - kept, call('ZCOUNT', DROPPED_AT, '-inf', since))
  local names = over > 0 and call('ZRANGE', DROPPED_AT, 0, math.min(over, limit) - 1) or {}
  return {names, many('HMGET', WORKS, names)}
end

local answers, at = {}, 2
while at <= #ARGV do
  local words, count = {}, tonumber(ARGV[at])
  for place = 1, count do words[place] = ARGV[at + place] end
  local read = reads[words[1]]
  if not read then words[2] = P .. words[2] end
  answers[#answers + 1] = read and read(unpack(words, 2)) or not read and call(unpack(words))
  at = at + count + 1
end
return {whole(clock()), call('HGET', PROCESS, 'v') or '', answers}
