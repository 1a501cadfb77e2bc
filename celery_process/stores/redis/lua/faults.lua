-- Errors that a run counts from its items, and the tolerance that they use up.
local run = {}

local function load_run()
  local found = call('HMGET', run_key(epoch), 'id', 'state', 'reason', 'total_errors', 'errors', 'kept', 'last_error',
    'work_limit', 'error_limit', 'open')
  run = {id = found[1], state = found[2], reason = found[3], total = tonumber(found[4]), errors = found[5],
    kept = tonumber(found[6]), last = found[7], work_limit = tonumber(found[8]), error_limit = tonumber(found[9]),
    open = found[10], was = found[2]}
  return run.id == ARGV[3]
end

local function keep_entry(item, entry)
  if tonumber(item[KEPT]) < 10 then
    item[ENTRIES] = add_entry(item[ENTRIES], entry)
    item[KEPT] = whole(tonumber(item[KEPT]) + 1)
  end
end

local function keep_in_run(entry)
  if run.kept < 25 then
    run.errors = add_entry(run.errors, entry)
    run.kept = run.kept + 1
    run.changed = true
  end
end

local function charge(name, item, of_work, of_run, now)
  item[COUNT] = whole(tonumber(item[COUNT]) + of_work)
  run.total = run.total + of_work + of_run
  if of_work > 0 then item[ERROR_AT] = whole(now) end
  if of_work + of_run == 0 then return end
  run.last, run.changed = whole(now), true
  if run.state ~= 'ACTIVE' then return end
  if run.work_limit and tonumber(item[COUNT]) > run.work_limit then
    run.broken = join({item[COUNT], whole(run.work_limit), name})
  elseif run.error_limit and run.total > run.error_limit then
    run.broken = join({whole(run.total), whole(run.error_limit), ''})
  end
  if run.broken then run.state, run.reason = run_moved(run.state, 'ABORTING'), 'aborted' end
end

local function save_run()
  if not run.changed then return end
  call('HSET', run_key(epoch), 'state', run.state, 'reason', run.reason, 'total_errors', whole(run.total),
    'errors', run.errors, 'kept', whole(run.kept), 'last_error', run.last)
  if run.broken then call('HSET', run_key(epoch), 'broken', run.broken) end
end

local function aborted_here() return run.was == 'ACTIVE' and run.state == 'ABORTING' and 1 or 0 end
