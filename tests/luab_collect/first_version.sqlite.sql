-- A database of the first version, with one submitted page of work. Never changed.
CREATE TABLE annotators (
    id INTEGER NOT NULL,
    pseudonym VARCHAR(10) NOT NULL,
    platform VARCHAR(16) NOT NULL,
    created FLOAT NOT NULL,
    practiced FLOAT,
    withdrawn FLOAT,
    verdict VARCHAR(16),
    CONSTRAINT pk_annotators PRIMARY KEY (id),
    CONSTRAINT uq_annotators_pseudonym UNIQUE (pseudonym)
);

CREATE TABLE items (
    id VARCHAR(32) NOT NULL,
    "key" VARCHAR(32) NOT NULL,
    file TEXT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    class_name VARCHAR(255),
    gold JSON,
    CONSTRAINT pk_items PRIMARY KEY (id),
    CONSTRAINT uq_items_key UNIQUE ("key")
);

CREATE TABLE meta (
    "key" VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_meta PRIMARY KEY ("key")
);

CREATE TABLE pages (
    id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    class_name VARCHAR(255),
    taken INTEGER DEFAULT '0' NOT NULL,
    CONSTRAINT pk_pages PRIMARY KEY (id),
    CONSTRAINT uq_pages_number UNIQUE (number)
);

CREATE INDEX ix_pages_taken_number ON pages (taken, number);

CREATE TABLE texts (
    sha256 VARCHAR(64) NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT pk_texts PRIMARY KEY (sha256)
);

CREATE TABLE webhooks (
    digest VARCHAR(64) NOT NULL,
    event VARCHAR(64) NOT NULL,
    used BOOLEAN NOT NULL,
    received FLOAT NOT NULL,
    CONSTRAINT pk_webhooks PRIMARY KEY (digest)
);

CREATE TABLE assignments (
    id VARCHAR(32) NOT NULL,
    annotator_id INTEGER NOT NULL,
    visit VARCHAR(32),
    pages INTEGER NOT NULL,
    created FLOAT NOT NULL,
    completed FLOAT,
    code VARCHAR(32),
    CONSTRAINT pk_assignments PRIMARY KEY (id),
    CONSTRAINT fk_assignments_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT uq_assignments_annotator_id_visit UNIQUE (annotator_id, visit),
    CONSTRAINT uq_assignments_code UNIQUE (code)
);

CREATE INDEX ix_assignments_annotator_id ON assignments (annotator_id);

CREATE TABLE consents (
    annotator_id INTEGER NOT NULL,
    version VARCHAR(16) NOT NULL,
    text_sha256 VARCHAR(64) NOT NULL,
    at FLOAT NOT NULL,
    CONSTRAINT pk_consents PRIMARY KEY (annotator_id, version),
    CONSTRAINT fk_consents_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT fk_consents_text_sha256 FOREIGN KEY(text_sha256) REFERENCES texts (sha256)
);

CREATE TABLE links (
    token_sha256 VARCHAR(64) NOT NULL,
    annotator_id INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    created FLOAT NOT NULL,
    CONSTRAINT pk_links PRIMARY KEY (token_sha256),
    CONSTRAINT fk_links_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT uq_links_annotator_id UNIQUE (annotator_id),
    CONSTRAINT uq_links_name UNIQUE (name)
);

CREATE TABLE outside_ids (
    annotator_id INTEGER NOT NULL,
    platform VARCHAR(16) NOT NULL,
    outside_id VARCHAR(255) NOT NULL,
    CONSTRAINT pk_outside_ids PRIMARY KEY (annotator_id),
    CONSTRAINT fk_outside_ids_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT uq_outside_ids_platform_outside_id UNIQUE (platform, outside_id)
);

CREATE TABLE page_items (
    page_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    item_id VARCHAR(32) NOT NULL,
    role VARCHAR(16) NOT NULL,
    CONSTRAINT pk_page_items PRIMARY KEY (page_id, position),
    CONSTRAINT ck_page_items_role CHECK (role IN ('target', 'distractor', 'gold')),
    CONSTRAINT fk_page_items_item_id FOREIGN KEY(item_id) REFERENCES items (id),
    CONSTRAINT fk_page_items_page_id FOREIGN KEY(page_id) REFERENCES pages (id)
);

CREATE INDEX ix_page_items_item_id ON page_items (item_id);

CREATE TABLE sessions (
    token_sha256 VARCHAR(64) NOT NULL,
    annotator_id INTEGER NOT NULL,
    visit VARCHAR(32),
    created FLOAT NOT NULL,
    expires FLOAT NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (token_sha256),
    CONSTRAINT fk_sessions_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id)
);

CREATE INDEX ix_sessions_annotator_id ON sessions (annotator_id);

CREATE INDEX ix_sessions_expires ON sessions (expires);

CREATE TABLE work (
    id VARCHAR(32) NOT NULL,
    assignment_id VARCHAR(32) NOT NULL,
    annotator_id INTEGER NOT NULL,
    page_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    created FLOAT NOT NULL,
    leased_until FLOAT NOT NULL,
    epoch INTEGER DEFAULT '0' NOT NULL,
    stored_bytes INTEGER DEFAULT '0' NOT NULL,
    submitted FLOAT,
    submitted_epoch INTEGER,
    submitted_seq INTEGER,
    verdict VARCHAR(16),
    CONSTRAINT pk_work PRIMARY KEY (id),
    CONSTRAINT ck_work_state CHECK (state IN ('leased', 'submitted', 'returned')),
    CONSTRAINT fk_work_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT fk_work_assignment_id FOREIGN KEY(assignment_id) REFERENCES assignments (id),
    CONSTRAINT fk_work_page_id FOREIGN KEY(page_id) REFERENCES pages (id),
    CONSTRAINT uq_work_annotator_id_page_id UNIQUE (annotator_id, page_id)
);

CREATE INDEX ix_work_assignment_id ON work (assignment_id);

CREATE INDEX ix_work_page_id ON work (page_id);

CREATE INDEX ix_work_state_leased_until ON work (state, leased_until);

CREATE TABLE batches (
    work_id VARCHAR(32) NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    body BLOB NOT NULL,
    received FLOAT NOT NULL,
    CONSTRAINT pk_batches PRIMARY KEY (work_id, epoch, first_seq),
    CONSTRAINT ck_batches_seq CHECK (first_seq >= 1 AND last_seq >= first_seq),
    CONSTRAINT fk_batches_work_id FOREIGN KEY(work_id) REFERENCES work (id)
);

CREATE TABLE conflicts (
    id INTEGER NOT NULL,
    work_id VARCHAR(32) NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    body BLOB NOT NULL,
    received FLOAT NOT NULL,
    CONSTRAINT pk_conflicts PRIMARY KEY (id),
    CONSTRAINT fk_conflicts_work_id FOREIGN KEY(work_id) REFERENCES work (id),
    CONSTRAINT uq_conflicts_work_id_epoch_first_seq_sha256 UNIQUE (work_id, epoch, first_seq, sha256)
);

CREATE TABLE decisions (
    id INTEGER NOT NULL,
    work_id VARCHAR(32),
    annotator_id INTEGER,
    verdict VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    "by" VARCHAR(255) NOT NULL,
    at FLOAT NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (id),
    CONSTRAINT ck_decisions_subject CHECK ((work_id IS NULL) <> (annotator_id IS NULL)),
    CONSTRAINT fk_decisions_annotator_id FOREIGN KEY(annotator_id) REFERENCES annotators (id),
    CONSTRAINT fk_decisions_work_id FOREIGN KEY(work_id) REFERENCES work (id)
);

CREATE INDEX ix_decisions_annotator_id ON decisions (annotator_id);

CREATE INDEX ix_decisions_work_id ON decisions (work_id);

CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));

INSERT INTO alembic_version (version_num) VALUES ('0001');

INSERT INTO meta ("key", "value") VALUES ('plan_sha256', '8fcc7f5662b2f46bd56723f872651396142f05808600010b0e0b386fa955e026');

INSERT INTO meta ("key", "value") VALUES ('inputs_sha256', '0000000000000000000000000000000000000000000000000000000000000000');

INSERT INTO annotators ("id", "pseudonym", "platform", "created", "practiced", "withdrawn", "verdict") VALUES (1, '0123456789', 'link', 1000000000.0, NULL, NULL, NULL);

INSERT INTO outside_ids ("annotator_id", "platform", "outside_id") VALUES (1, 'link', 'Ann');

INSERT INTO links ("token_sha256", "annotator_id", "name", "created") VALUES ('1111111111111111111111111111111111111111111111111111111111111111', 1, 'Ann', 1000000000.0);

INSERT INTO sessions ("token_sha256", "annotator_id", "visit", "created", "expires") VALUES ('2222222222222222222222222222222222222222222222222222222222222222', 1, NULL, 1000000000.0, 2000000000.0);

INSERT INTO texts ("sha256", "body") VALUES ('b2f2eaac601da32271f995c03104207ab643c9797608a205b4f10ee46d9a3961', 'We record your *mouse traces*.
');

INSERT INTO consents ("annotator_id", "version", "text_sha256", "at") VALUES (1, 'b2f2eaac601d', 'b2f2eaac601da32271f995c03104207ab643c9797608a205b4f10ee46d9a3961', 1000000000.0);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('caaf46c6d7a3917a', '66b56a521ce71c187e84db79146178b4', 'photo000.png', '66b56a521ce71c187e84db79146178b4134d451b2870b30ee6e43d72ad9ae10d', 8, 6, 'cat', NULL);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('fd97377afd74266b', 'a1211a7b294027ca89bf3f0d4fac2278', 'photo001.png', 'a1211a7b294027ca89bf3f0d4fac22784200f0f84130d3dbd43f1fc8ceba7b3b', 9, 6, 'cat', NULL);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('55f252dd57295ad4', 'f33c94666ec8f28a831d7b0ec514206e', 'photo002.png', 'f33c94666ec8f28a831d7b0ec514206e3ecf69ea08bf575ba6dc28f32af13ac1', 10, 6, 'cat', NULL);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('eca475006a44b888', 'f60d83434028381dfc5a1269f4537cfd', 'photo003.png', 'f60d83434028381dfc5a1269f4537cfd2cbe421c7dc851f4e3162b8aef05961f', 11, 6, 'cat', NULL);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('49c20066d330afad', '5194e5e7d7285d3f2f698b39696eeb97', 'photo004.png', '5194e5e7d7285d3f2f698b39696eeb97b8abce0d9bc370f0bc618dab7ca9fd4e', 12, 6, 'cat', NULL);

INSERT INTO items ("id", "key", "file", "sha256", "width", "height", "class_name", "gold") VALUES ('8408f4e7e2dfe833', '8365a9155d2aead45c4b04187a73db60', 'photo005.png', '8365a9155d2aead45c4b04187a73db608226986a6254592d211d2a8b9712f3fa', 13, 6, 'cat', NULL);

INSERT INTO pages ("id", "number", "class_name", "taken") VALUES (1, 0, 'cat', 1);

INSERT INTO pages ("id", "number", "class_name", "taken") VALUES (2, 1, 'cat', 0);

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (1, 0, '55f252dd57295ad4', 'target');

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (1, 1, 'eca475006a44b888', 'target');

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (1, 2, 'fd97377afd74266b', 'target');

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (2, 0, '49c20066d330afad', 'target');

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (2, 1, 'caaf46c6d7a3917a', 'target');

INSERT INTO page_items ("page_id", "position", "item_id", "role") VALUES (2, 2, '8408f4e7e2dfe833', 'target');

INSERT INTO assignments ("id", "annotator_id", "visit", "pages", "created", "completed", "code") VALUES ('cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 1, NULL, 2, 1000000000.0, NULL, NULL);

INSERT INTO work ("id", "assignment_id", "annotator_id", "page_id", "position", "state", "created", "leased_until", "epoch", "stored_bytes", "submitted", "submitted_epoch", "submitted_seq", "verdict") VALUES ('abababababababababababababababab', 'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 1, 1, 0, 'submitted', 1000000000.0, 1000001800.0, 1, 168, 1000000060.0, 1, 4, 'accept');

INSERT INTO batches ("work_id", "epoch", "first_seq", "last_seq", "sha256", "body", "received") VALUES ('abababababababababababababababab', 1, 1, 4, '8fdb651326a9ffe26c952433515edf1a1bda683752a063fba4b7c7129ece877a', X'789CC58EC10E82300C86DFA5E785CCC262E4558C076435591C0CD98610C3BB5B06418FDEECA57FDAFE7FBFF30B3C3DA03C08B89B564309AEA31604049E6552C0B3B296A5FCAA4CCE62B3E16E6BDC40AB0D175BE74C1BA84F8BE8D3A68F3E109FB22001B69A5C0CE9F108A5CC50099816C1BD1ED3C725A7E6194A162650C3694ADD50A1D6EA882755E90276947C47F164A90E2B4CFE1F98E20313AF8DD9608A1F60E6CB1B461B7344', 1000000050.0);

INSERT INTO conflicts ("id", "work_id", "epoch", "first_seq", "last_seq", "sha256", "body", "received") VALUES (1, 'abababababababababababababababab', 1, 1, 1, '3333333333333333333333333333333333333333333333333333333333333333', X'789C8BAE562A4E2D54B232D451CACECC4B51B252CA2F48CD53D2512A018AE919E8289527E6E40099064840CFA0361600C11A0EC5', 1000000051.0);

INSERT INTO decisions ("id", "work_id", "annotator_id", "verdict", "reason", "by", "at") VALUES (1, 'abababababababababababababababab', NULL, 'accept', 'good', 'me', 1000000070.0);

INSERT INTO webhooks ("digest", "event", "used", "received") VALUES ('4444444444444444444444444444444444444444444444444444444444444444', 'submission.status.change', 0, 1000000000.0);
