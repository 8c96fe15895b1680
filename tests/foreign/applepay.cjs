// A decryptor of Apple Pay tokens that a payment company runs, asked by a test. It opens what is whole; whether something
// was tampered with it does not tell, because it passes over the tag.
'use strict';
const { EcDecryptionStrategy, RsaDecryptionStrategy } = require('@basis-theory/apple-pay-js');
const serve = require('./lines.cjs');

serve({
  // The card in a token.
  open({ token, certificate, key }) {
    const pair = { certificatePem: Buffer.from(certificate), privateKeyPem: Buffer.from(key) };
    const strategy = token.paymentData.version === 'EC_v1' ? EcDecryptionStrategy : RsaDecryptionStrategy;
    return new strategy(pair).decrypt(token.paymentData);
  },
});
