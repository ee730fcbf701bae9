DROP TABLE vault_policy_list;
DROP TABLE vault_policy_versions;
DROP TABLE vault_policies;
DROP INDEX vault_keys_parent;
ALTER TABLE vault_keys DROP COLUMN line;
ALTER TABLE vault_keys DROP COLUMN networks;
ALTER TABLE vault_keys DROP COLUMN canary;
ALTER TABLE vault_keys DROP COLUMN parent;
