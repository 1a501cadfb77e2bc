-- The ledger: how every slot ended, in the order of its slots.
local function enter(slot, record)
  call('ZADD', SLOTS, 0, slot)
  call('HSET', LEDGER, slot, record)
end

-- The range before a slot that nobody took, and the rule that the slots follow.
local function account(now, slot, after, rule)
  if after ~= '' then enter(slot, join({'missed', now, '', after, ''})) end
  if rule ~= '' then call('HSET', PROCESS, 'rule', rule) end
end
