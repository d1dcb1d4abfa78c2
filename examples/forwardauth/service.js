const http = require("node:http");

const server = http.createServer((request, response) => {
  const caller = decodeURIComponent(request.headers["x-apikey-name"] || "anonymous");
  response.end(`hello ${caller}\n`);
});

server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`Listening on 127.0.0.1:${server.address().port}`);
});
