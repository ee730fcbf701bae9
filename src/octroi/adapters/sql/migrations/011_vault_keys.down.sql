DROP TABLE vault_credentials;
DROP TABLE vault_key_list;
DROP TABLE vault_keys;
