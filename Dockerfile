# The application (worker, API, setup) and, for trials, the fakes of its external systems.
# The base is Debian, because the native core of Temporal's SDK needs glibc.
ARG NODE_VERSION=24.21.0
ARG DEBIAN_VERSION=bookworm-slim

FROM node:${NODE_VERSION}-bookworm-slim AS node

FROM node AS base
WORKDIR /app
COPY package.json package-lock.json ./

# No dependency needs its install script.
FROM base AS all-dependencies
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM base AS production-dependencies
RUN npm ci --ignore-scripts --no-audit --no-fund --omit=dev
# The SDK includes its native core for every platform, and the sources of the core. This step keeps only the core of this
# platform. The programs read no types and no source maps of packages.
RUN cd node_modules/@temporalio/core-bridge && rm -r sdk-core \
  && find releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} + \
  && find /app/node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' \) -delete

FROM all-dependencies AS build
COPY tsconfig.json tsconfig.build.json ./
COPY tools tools
COPY src src
RUN npm run build
RUN npm run --silent sbom >sbom.cdx.json

# Each program of the fakes becomes one file, so that their image contains no node_modules. The
# bundle omits the page Break it, which only the development stack has.
FROM all-dependencies AS build-fakes
COPY tools tools
COPY src src
RUN node_modules/.bin/esbuild tools/fakes/main.ts tools/stack/seed.ts --bundle --platform=node --format=esm --sourcemap \
  --outbase=. --outdir=bundles --external:../break-it/routes.js --log-level=warning --log-limit=0 \
  --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

# Without npm and the headers of Node.js, which the programs do not need.
FROM debian:${DEBIAN_VERSION} AS runtime
WORKDIR /app
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY deploy/image/healthcheck /usr/local/bin/healthcheck
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
HEALTHCHECK --interval=5s --timeout=15s --start-period=60s --retries=6 CMD ["healthcheck"]

FROM runtime AS fakes
COPY package.json ./
COPY examples examples
COPY --from=build-fakes /app/bundles ./
RUN install -d -o 1000 -g 1000 /data
USER 1000:1000
CMD ["node", "tools/fakes/main.js"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Fakes of workflow orchestration patterns" \
  org.opencontainers.image.description="The fake payment gateway and the fake carrier, for trials" \
  org.opencontainers.image.licenses=MIT \
  org.opencontainers.image.version=$VERSION \
  org.opencontainers.image.revision=$REVISION

# For docker-compose.dev.yml, which mounts the sources.
FROM all-dependencies AS development
COPY tsconfig.json ./
COPY deploy/image/healthcheck /usr/local/bin/healthcheck
ENV HEALTH_PORT=3002
HEALTHCHECK --interval=5s --timeout=15s --start-period=60s --retries=6 CMD ["healthcheck"]
USER 1000:1000
# The other programs: src/setup.ts, src/api/server.ts. `node --watch` cannot run a worker: it sends messages from the
# threads of the SDK, which the SDK does not know.
CMD ["node_modules/.bin/tsx", "watch", "--clear-screen=false", "--include=src/**/*", "src/worker.ts"]

FROM runtime AS application
COPY package.json ./
COPY --from=production-dependencies /app/node_modules node_modules
COPY --from=build /app/sbom.cdx.json ./
COPY --from=build /app/dist dist
# A worker serves its health check at this port.
ENV HEALTH_PORT=3002
USER 1000:1000
# The other programs: node dist/setup.js, node dist/api/server.js
CMD ["node", "dist/worker.js"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Workflow orchestration patterns" \
  org.opencontainers.image.description="Worker, API and setup of the shop" \
  org.opencontainers.image.licenses=MIT \
  org.opencontainers.image.version=$VERSION \
  org.opencontainers.image.revision=$REVISION
