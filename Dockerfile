# The image of every Node service, by its name: docker build --build-arg SERVICE=roster-api .
# Targets: runtime (the default), a bundle and nothing else; development, the whole workspace.
ARG NODE_TAG=26-trixie-slim

FROM node:${NODE_TAG} AS node
# Nothing here is to become somebody else by running a file.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/cache/apt/* /var/lib/apt/lists/*
# PRISMA_DIR is seen from the working directory, which is the service's folder. V8 sizes its heap by the container's
# memory limit; the rest is for buffers and WebAssembly. Of a heap as small as these, V8 would give too little to what
# requests leave behind, and clear that away all the time.
ENV PORT=3000 \
    PRISMA_DIR=prisma \
    NODE_OPTIONS='--max-old-space-size-percentage=60 --max-semi-space-size=8'
ENTRYPOINT ["/app/entrypoint.sh"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m --start-interval=1s --retries=3 \
  CMD ["/app/healthcheck.sh"]

# What decides which packages are installed, so that a changed source line installs none.
FROM node AS manifests
WORKDIR /manifests
RUN --mount=type=bind,target=/context \
    cd /context \
 && cp .npmrc package-lock.json /manifests \
 && find . -name package.json -exec cp --parents --target-directory=/manifests {} +

FROM node AS packages
ENV PATH=/workspace/node_modules/.bin:$PATH \
    PRISMA_SCHEMA_ENGINE_BINARY=/bin/true \
    PRISMA_HIDE_UPDATE_MESSAGE=1
WORKDIR /workspace
COPY --from=manifests /manifests ./
COPY tools/stubs tools/stubs
RUN --mount=type=cache,target=/root/.npm npm ci

# Only this service's source, so that a change in another one leaves its image as it is. File times are part of a
# layer's digest, hence the fixed ones.
FROM packages AS bundle
ARG SERVICE
COPY libs libs
COPY tsconfig.base.json ./
COPY tools/bundle tools/bundle
COPY scripts/entrypoint.sh scripts/healthcheck.sh scripts/
COPY services/${SERVICE} services/${SERVICE}
RUN find services -name schema.prisma | xargs -r -n 1 prisma generate --no-hints --schema \
 && node tools/bundle/src/main.ts "$SERVICE" --out /bundle \
 && cp scripts/entrypoint.sh scripts/healthcheck.sh /bundle \
 && find /bundle -exec touch --date=@0 {} +

FROM packages AS development
ENV HOME=/tmp \
    DATABASE_CLI=/workspace/libs/postgres/src/cli.ts
COPY . .
RUN find services -name schema.prisma | xargs -r -n 1 prisma generate --no-hints --schema \
 && install -D --target-directory=/app scripts/entrypoint.sh scripts/healthcheck.sh \
 && install -d --mode=1777 /media
USER node

FROM node AS runtime
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx \
 && install -d --owner=node --group=node /media
ENV NODE_ENV=production \
    DATABASE_CLI=/app/database.mjs
WORKDIR /app
COPY --from=bundle /bundle ./
USER node
CMD ["node", "main.mjs"]
ARG SERVICE
ARG SERVICE_VERSION=development
ARG SERVICE_COMMIT=unknown
ARG BUILD_NUMBER=none
ENV SERVICE_VERSION=${SERVICE_VERSION} \
    SERVICE_COMMIT=${SERVICE_COMMIT} \
    BUILD_NUMBER=${BUILD_NUMBER}
LABEL org.opencontainers.image.title="keelson-${SERVICE}" \
      org.opencontainers.image.version="${SERVICE_VERSION}" \
      org.opencontainers.image.revision="${SERVICE_COMMIT}" \
      keelson.build-number="${BUILD_NUMBER}"
