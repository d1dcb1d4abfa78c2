-- HAProxy asks the auth service whether a request may pass: http-request lua.check_key
local service = "http://127.0.0.1:9000/check"
local identity = { "x-apikey-id", "x-apikey-name", "x-apikey-owner", "x-apikey-scopes" }

-- Fields that describe the connection or the body. The auth service does not get them.
local omitted = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
    ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

core.register_action("check_key", { "http-req" }, function(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not omitted[name] then
            headers[name] = {}
            for i = 0, #values do -- the lines count from 0 here, and from 1 in a request of Lua
                headers[name][i + 1] = values[i]
            end
        end
    end
    local uri = txn.sf:pathq()
    if uri == "" then -- as in "OPTIONS *"
        txn:done(txn:reply({ status = 400 }))
    end
    headers["x-forwarded-uri"] = { uri }
    headers["x-forwarded-method"] = { txn.sf:method() }
    headers["x-forwarded-host"] = { txn.sf:req_fhdr("host") }
    headers["x-forwarded-for"] = { txn.sf:src() }

    local answer = core.httpclient():get({ url = service, headers = headers, timeout = 5000 })
    if answer.status == 200 then
        for _, name in ipairs(identity) do
            txn.http:req_set_header(name, answer.headers[name][0])
        end
        txn:set_var("txn.apikey_allowed", true)
    elseif answer.status >= 400 then
        local reply = txn:reply({ status = answer.status, body = answer.body })
        for _, name in ipairs({ "content-type", "www-authenticate", "retry-after", "cache-control" }) do
            for _, value in pairs(answer.headers[name] or {}) do
                reply:add_header(name, value)
            end
        end
        txn:done(reply)
    end
end)
