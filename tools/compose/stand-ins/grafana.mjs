// Stands in for Grafana, whose image needs an image registry: answers the health check and does nothing else.
import { createServer } from 'node:http';

createServer((request, response) => {
  response.statusCode = request.url === '/api/health' ? 200 : 404;
  response.end();
}).listen(3000, '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
