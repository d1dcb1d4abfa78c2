-- Spends a cost on each of several limits or, if that would exceed one of them, on no limit. balance.go has
-- the same algorithm with comments.
-- KEYS: the balance of each limit, "used:at".
-- ARGV: the cost and, for each limit, its kind (rolling, day or month), the requests, the most at once, and
-- the microseconds of the rolling limit.
-- Returns 1 or 0 and, for each limit, the remaining requests, Reset and Wait in microseconds.

local unit = 1000000
local longest = 9223372036000000 -- microseconds, as maxWait; Redis refuses a longer expiry
local clock = redis.call('TIME')
local second = tonumber(clock[1])
local now = second * 1000000 + tonumber(clock[2])

-- Days since 1970 of the first day of a month, counted from January of year 0.
local function dayOfMonth(months)
  local year, month = math.floor(months / 12), months % 12 + 1
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local yearOfEra = year - era * 400
  local dayOfYear = math.floor((153 * ((month + 9) % 12) + 2) / 5)
  local dayOfEra = yearOfEra * 365 + math.floor(yearOfEra / 4) - math.floor(yearOfEra / 100) + dayOfYear
  return era * 146097 + dayOfEra - 719468
end

-- Returns the number of the current period and the microseconds until it ends.
local function period(kind)
  local day = math.floor(second / 86400)
  if kind == 'day' then
    return day, (day + 1) * 86400000000 - now
  end
  local months = math.floor(day / 30.436875) + 1970 * 12
  while dayOfMonth(months + 1) <= day do months = months + 1 end
  while dayOfMonth(months) > day do months = months - 1 end
  return months, dayOfMonth(months + 1) * 86400000000 - now
end

local cost = tonumber(ARGV[1])
local used, at, ends, wait, write = {}, {}, {}, {}, {}
local permitted = true
for i, key in ipairs(KEYS) do
  local kind = ARGV[4 * i - 2]
  local requests, most, per = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  local before, last = 0, 0
  local stored = redis.call('GET', key)
  if stored then
    local u, a = string.match(stored, '^(%d+):(%d+)$')
    before, last = tonumber(u), tonumber(a)
  end
  if kind == 'rolling' then
    -- Rounded down by one unit more, because a product of doubles is not exact.
    local refill = math.max(0, math.floor(math.max(0, now - last) / per * requests * unit) - 1)
    used[i], at[i] = math.max(0, before - refill), now
    write[i] = now < last -- the clock was set back; the refill must continue from the new time
  else
    at[i], ends[i] = period(kind)
    if last == at[i] or last == at[i] + 1 then
      used[i], at[i] = before, last
    else
      used[i] = 0
    end
  end
  local missing = used[i] + math.max(cost, 1) * unit - most * unit
  if cost > most then
    wait[i] = -1
  elseif missing <= 0 then
    wait[i] = 0
  elseif kind == 'rolling' then
    wait[i] = math.min(longest, math.ceil((missing + 1) * per / (requests * unit)))
  else
    wait[i] = ends[i]
  end
  permitted = permitted and wait[i] == 0
end

local reply = { permitted and 1 or 0 }
for i, key in ipairs(KEYS) do
  local requests, most, per = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  if permitted and cost > 0 then
    write[i] = true
    used[i] = used[i] + cost * unit
  end
  local lasts = ends[i] or math.min(longest, math.ceil((used[i] + 1) * per / (requests * unit)))
  if used[i] == 0 and not ends[i] then lasts = 0 end
  local expires = math.ceil(lasts / 1000) + 1
  if ends[i] then expires = expires + 86400000 end -- so that a clock that is set back finds it
  if write[i] then
    redis.call('SET', key, string.format('%.0f:%.0f', used[i], at[i]), 'PX', string.format('%.0f', expires))
  elseif not permitted and used[i] > 0 then
    -- Because a limit that became slower refills later.
    redis.call('PEXPIRE', key, string.format('%.0f', expires), 'GT')
  end
  reply[#reply + 1] = math.max(0, most - math.ceil(used[i] / unit))
  reply[#reply + 1] = lasts
  reply[#reply + 1] = wait[i]
end
return reply
