CREATE TYPE "ExportState" AS ENUM ('queued', 'running', 'done', 'failed');

CREATE TABLE "Worker" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "hiredOn" DATE NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "Worker_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Worker_email_key" ON "Worker"("email");
CREATE INDEX "Worker_name_id_idx" ON "Worker"("name", "id");
CREATE INDEX "Worker_hiredOn_id_idx" ON "Worker"("hiredOn", "id");
CREATE INDEX "Worker_role_id_idx" ON "Worker"("role", "id");

CREATE TABLE "Export" (
    "id" UUID NOT NULL,
    "state" "ExportState" NOT NULL DEFAULT 'queued',
    "reason" TEXT,
    "rowsDone" INTEGER NOT NULL DEFAULT 0,
    "rowsTotal" INTEGER,
    "bytes" BIGINT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "Export_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "IdempotentAnswer" (
    "operation" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "status" INTEGER NOT NULL,
    "headers" JSONB NOT NULL,
    "body" JSON NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "IdempotentAnswer_pkey" PRIMARY KEY ("operation", "key")
);
CREATE INDEX "IdempotentAnswer_createdAt_idx" ON "IdempotentAnswer"("createdAt");
