# The application (worker, API, setup) and, for trials, the fakes of its external systems.
# The base is Debian, because the native core of Temporal's SDK needs glibc.
ARG NODE_VERSION=24.21.0

FROM node:${NODE_VERSION}-bookworm-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./

# No dependency needs its install script.
FROM base AS all-dependencies
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM base AS production-dependencies
RUN npm ci --ignore-scripts --no-audit --no-fund --omit=dev
# The SDK includes its native core for every platform, and the sources of the core. This step keeps only the core of this
# platform.
RUN cd node_modules/@temporalio/core-bridge && rm -r sdk-core \
  && find releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM all-dependencies AS build
COPY tsconfig.json tsconfig.build.json ./
COPY tools tools
COPY src src
RUN npm run build

FROM build AS fakes
COPY examples examples
RUN install -d -o 1000 -g 1000 /data
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
USER 1000:1000
CMD ["node", "--import", "tsx", "tools/fakes/main.ts"]

FROM node:${NODE_VERSION}-bookworm-slim AS application
WORKDIR /app
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
COPY package.json ./
COPY --from=production-dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER 1000:1000
# The other programs: node dist/setup.js, node dist/api/server.js
CMD ["node", "dist/worker.js"]
