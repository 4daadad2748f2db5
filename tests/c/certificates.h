/* Certificates for tests alone, made with openssl for a hundred years: an authority, and two that it vouches for, one for
 * localhost, 127.0.0.1 and ::1, one for elsewhere.example. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

__attribute__((unused)) static const char authority[] =
  "-----BEGIN CERTIFICATE-----\n"
  "MIIBlTCCATugAwIBAgIUZ8zsUAh5JCLhZLdRVRclMu69U60wCgYIKoZIzj0EAwIw\n"
  "HzEdMBsGA1UEAwwUd3NhYmkgdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMTUwODUw\n"
  "WhgPMjEyNjEwMjkxNTA4NTBaMB8xHTAbBgNVBAMMFHdzYWJpIHRlc3QgYXV0aG9y\n"
  "aXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUEljQAjjMdKT0FT2NKq4MJ0+\n"
  "X8PQsa4dUdIPUWzqdZ5XKORO5jUyXZPaEgIVvzSa0Uy3qjJCU4TOPLO8SiNz86NT\n"
  "MFEwHQYDVR0OBBYEFHPJrAd0xu35zf6ubah553MIHQLAMB8GA1UdIwQYMBaAFHPJ\n"
  "rAd0xu35zf6ubah553MIHQLAMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID\n"
  "SAAwRQIhANUnsZh+8JYboUA4CGhPaytcPnjJOId6/EZ2hJf3FnN+AiA/Tzgiulnj\n"
  "zqCVlY9569gpDcsnf/sW/X5e4RDmy5tp9g==\n"
  "-----END CERTIFICATE-----\n";

__attribute__((unused)) static const char localhost_chain[] =
  "-----BEGIN CERTIFICATE-----\n"
  "MIIB0TCCAXagAwIBAgIUTevkMmVAHcWOC9GtHems3fyfD4EwCgYIKoZIzj0EAwIw\n"
  "HzEdMBsGA1UEAwwUd3NhYmkgdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMTUwODUw\n"
  "WhgPMjEyNjEwMjkxNTA4NTBaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49\n"
  "AgEGCCqGSM49AwEHA0IABBaxoGFnZIJxkHL9x4NDKQQPgXyXc8YCtmIc0g1pkFmd\n"
  "F1CWIDsht7kdlR7DoXR/d8UgUOvK9jQ0o/KRdfCdw0yjgZswgZgwLAYDVR0RBCUw\n"
  "I4IJbG9jYWxob3N0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMAkGA1UdEwQCMAAw\n"
  "HQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMB0GA1UdDgQWBBQ/XsSQl884\n"
  "TsakaRAc36dieKz9/TAfBgNVHSMEGDAWgBRzyawHdMbt+c3+rm2oeedzCB0CwDAK\n"
  "BggqhkjOPQQDAgNJADBGAiEA0MSDEArAHIq6EbNzTCxRRWpBuVKwYbWQeL3Lcekb\n"
  "QdwCIQCUVzn1U8lwMabtItBerkNrf3QclhLn6G4M2CzlW15oNw==\n"
  "-----END CERTIFICATE-----\n";

__attribute__((unused)) static const char localhost_key[] =
  "-----BEGIN PRIVATE KEY-----\n"
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeHo+JmMkNvL4DSWO\n"
  "VgVOEwIMXQj3H0GCPAZ3QnGQLn6hRANCAAQWsaBhZ2SCcZBy/ceDQykED4F8l3PG\n"
  "ArZiHNINaZBZnRdQliA7Ibe5HZUew6F0f3fFIFDryvY0NKPykXXwncNM\n"
  "-----END PRIVATE KEY-----\n";

__attribute__((unused)) static const char elsewhere_chain[] =
  "-----BEGIN CERTIFICATE-----\n"
  "MIIBvzCCAWWgAwIBAgIUTevkMmVAHcWOC9GtHems3fyfD4IwCgYIKoZIzj0EAwIw\n"
  "HzEdMBsGA1UEAwwUd3NhYmkgdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMTUwODUw\n"
  "WhgPMjEyNjEwMjkxNTA4NTBaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0C\n"
  "AQYIKoZIzj0DAQcDQgAEGcEmJOho6WT2SHDMJTa54vPZZorzBFAiFAVc5o8N6z25\n"
  "uHHxMHC5w+8ILRa5/THBkXnQ/dyuP8Fo5m4M8OHSeqOBizCBiDAcBgNVHREEFTAT\n"
  "ghFlbHNld2hlcmUuZXhhbXBsZTAJBgNVHRMEAjAAMB0GA1UdJQQWMBQGCCsGAQUF\n"
  "BwMBBggrBgEFBQcDAjAdBgNVHQ4EFgQUQQ9UvQ8jFAQbkcQwLF64FiHzTtwwHwYD\n"
  "VR0jBBgwFoAUc8msB3TG7fnN/q5tqHnncwgdAsAwCgYIKoZIzj0EAwIDSAAwRQIg\n"
  "P4LCHln+NKT8nT+RPApcj+9U+ggdix8U9ksY1F89VI0CIQD3HsYFf/G0uznOl7S0\n"
  "HkMjKbIjXqt2xq6cP875DhKAsQ==\n"
  "-----END CERTIFICATE-----\n";

__attribute__((unused)) static const char elsewhere_key[] =
  "-----BEGIN PRIVATE KEY-----\n"
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHFPI40oVzcY8z5UR\n"
  "mDzsKlTCVzmQDIh+it6YqV7rDCmhRANCAAQZwSYk6GjpZPZIcMwlNrni89lmivME\n"
  "UCIUBVzmjw3rPbm4cfEwcLnD7wgtFrn9McGRedD93K4/wWjmbgzw4dJ6\n"
  "-----END PRIVATE KEY-----\n";

#endif
